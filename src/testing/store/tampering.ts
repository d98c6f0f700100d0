import assert from "node:assert/strict";
import { manifestTable } from "../../store/sql/manifest.ts";
import { rowName } from "../../store/sql/row.ts";
import {
  layoutOf,
  rowFormatColumn,
  rowMacColumn,
  rowVersionColumn,
  toSql,
  type ColumnLayout,
  type TableLayout,
} from "../../store/sql/table-layout.ts";
import type { SqlValue } from "../../store/sql/sql-database.ts";
import { tables, type NewRecord, type TableDefinition, type TableName } from "../../store/tables.ts";
import { deleteRaw, insertRaw, partOf, readRaw, updateRaw, type RawRow } from "./raw-rows.ts";
import { otherValue, sampleKey, sampleRecord, tableNames } from "./samples.ts";
import { failsWith, inNewStore, onSecondConnection, type StorePlace, type StoreSuite } from "./suite.ts";

/** What somebody who can write the database, but has no key, can do: nothing that is not found. */
export function testTampering(suite: StoreSuite): void {
  for (const name of tableNames) {
    const records = [sampleRecord(name, 1), sampleRecord(name, 2)] as const;
    const { guard } = tables[name];
    if (guard === "none") continue;
    testEdits(suite, name, records);
    testRowsMoved(suite, name, records);
  }
  testManifest(suite);
  testLimits(suite);
}

function testEdits<N extends TableName>(suite: StoreSuite, name: N, records: readonly [NewRecord<N>, NewRecord<N>]): void {
  const table = layoutOf(tables[name]);
  const insertTwo = async (place: StorePlace): Promise<void> => {
    await place.store.transaction(async (opened) => {
      for (const record of records) await opened[name].insert(record);
    });
  };

  suite.it(`${name}: finds an edit of any column, when the row is read and when all are verified`, async () => {
    await inNewStore(suite, async (place) => {
      await insertTwo(place);
      for (const row of await readRaw(place.sql, table)) {
        for (const edit of editsOf(table, row)) {
          const edited = { ...row, ...edit };
          const message = `${name} ${Object.keys(edit).join()}`;
          await updateRaw(place.sql, table, row, edit);
          await failsWith(
            "STORE_TAMPERED",
            async () => await place.store.read(async (opened) => await opened[name].list()),
            new RegExp(table.name),
          );
          const findings = await place.store.verify();
          assert.deepEqual(
            findings.filter((finding) => finding.row !== undefined).map((finding) => [finding.table, finding.row]),
            [[table.name, rowName(table, edited)]],
            message,
          );
          await updateRaw(place.sql, table, edited, row);
          assert.deepEqual(await place.store.verify(), [], message);
        }
      }
    });
  });

  suite.it(`${name}: refuses to read, change, remove and unlock what was edited`, async () => {
    await inNewStore(suite, async (place) => {
      await insertTwo(place);
      const [record] = await place.store.read(async (opened) => await opened[name].list());
      const [row] = await readRaw(place.sql, table);
      assert.ok(record && row);
      await updateRaw(place.sql, table, row, { [rowFormatColumn]: 2n });
      const key = new RegExp(rowName(table, row).replaceAll(/[^\w= ]/g, "."));
      const { store } = place;
      await failsWith("STORE_TAMPERED", async () => await store.read(async (opened) => await opened[name].get(record)), key);
      await failsWith("STORE_TAMPERED", async () => await store.transaction(async (opened) => await opened[name].update(record)), key);
      await failsWith("STORE_TAMPERED", async () => await store.transaction(async (opened) => await opened[name].remove(record)), key);
      await onSecondConnection(place, async (second) => {
        await failsWith("STORE_TAMPERED", async () => await second.unlock(sampleKey), key);
        assert.deepEqual(
          (await second.verify()).map((finding) => finding.table),
          [table.name],
        );
      });
    });
  });

  suite.it(`${name}: finds contents that were swapped, or copied to another key`, async () => {
    await inNewStore(suite, async (place) => {
      await insertTwo(place);
      const [a, b] = await readRaw(place.sql, table);
      assert.ok(a && b);
      await swapContents(place, table, a, b);
      const swapped = await place.store.verify();
      assert.deepEqual(
        swapped.map((finding) => finding.row),
        [a, b].map((row) => rowName(table, row)),
      );
      for (const { problem } of swapped) assert.match(problem, /content of another row/);
      for (const row of [a, b]) await deleteRaw(place.sql, table, row);
      for (const row of [a, b]) await insertRaw(place.sql, table, row);
      assert.deepEqual(await place.store.verify(), []);
    });
  });
}

function testRowsMoved<N extends TableName>(suite: StoreSuite, name: N, [one, two]: readonly [NewRecord<N>, NewRecord<N>]): void {
  const table = layoutOf(tables[name]);

  suite.it(`${name}: finds rows that were deleted, added back, copied and put back to an earlier state`, async () => {
    await inNewStore(suite, async (place) => {
      const { store, sql } = place;
      const first = await store.transaction(async (opened) => await opened[name].insert(one));
      const removed = await store.transaction(async (opened) => await opened[name].insert(two));
      const [earlier, gone] = await readRaw(sql, table);
      assert.ok(earlier && gone);
      await store.transaction(async (opened) => {
        await opened[name].update(first);
        await opened[name].remove(removed);
      });
      const [now] = await readRaw(sql, table);
      assert.ok(now);
      const found = async (): Promise<string[]> => (await store.verify()).map((finding) => `${finding.table}: ${finding.problem}`);

      await updateRaw(sql, table, now, earlier);
      assert.deepEqual(await found(), [`${table.name}: a row was replayed: it is as it was at an earlier time`]);
      await updateRaw(sql, table, now, now);

      await insertRaw(sql, table, gone);
      assert.deepEqual(await found(), [`${table.name}: it has 1 row too many: removed ones were added back`]);
      await deleteRaw(sql, table, now);
      assert.deepEqual(await found(), [`${table.name}: a row was replayed: it is as it was at an earlier time`]);
      await deleteRaw(sql, table, gone);
      assert.deepEqual(await found(), [`${table.name}: 1 of its rows was deleted`]);
      await onSecondConnection(place, async (second) => {
        await failsWith(
          "STORE_TAMPERED",
          async () => await second.unlock(sampleKey),
          new RegExp(`${table.name}: 1 of its rows was deleted`),
        );
      });

      await insertRaw(sql, table, now);
      assert.deepEqual(await found(), []);
      const [keyColumn = ""] = table.key.map((column) => column.sqlName);
      await insertRaw(sql, table, { ...now, ...uniqueValues(name, 9), [keyColumn]: `${String(now[keyColumn])} copied` });
      assert.match((await found()).join("\n"), /content of another row|MAC does not fit/);
    });
  });
}

function testManifest(suite: StoreSuite): void {
  suite.it("finds an edit of any column of the manifest", async () => {
    await inNewStore(suite, async ({ store, sql }) => {
      await store.transaction(async ({ settings }) => await settings.insert({ name: "a", value: "1" }));
      const [row] = await readRaw(sql, manifestTable);
      assert.ok(row);
      for (const edit of editsOf(manifestTable, row)) {
        await updateRaw(sql, manifestTable, row, edit);
        const message = Object.keys(edit).join();
        assert.deepEqual([...new Set((await store.verify()).map((finding) => finding.table))], ["manifest"], message);
        await failsWith("STORE_TAMPERED", async () => await store.generation(), /manifest/);
        await failsWith(
          "STORE_TAMPERED",
          async () => await store.transaction(async ({ aliases }) => await aliases.insert({ alias: "b", keyId: "2" })),
        );
        await updateRaw(sql, manifestTable, { ...row, ...edit }, row);
        assert.deepEqual(await store.verify(), [], message);
      }
      assert.deepEqual(await store.read(async ({ aliases }) => await aliases.list()), []);
    });
  });

  suite.it("finds that the manifest was deleted, doubled and put back to an earlier state", async () => {
    await inNewStore(suite, async (place) => {
      const { store, sql } = place;
      const [earlier] = await readRaw(sql, manifestTable);
      await store.transaction(async ({ settings }) => await settings.insert({ name: "a", value: "1" }));
      const [now] = await readRaw(sql, manifestTable);
      assert.ok(earlier && now);

      await updateRaw(sql, manifestTable, now, earlier);
      assert.deepEqual(
        (await store.verify()).map((finding) => finding.table),
        ["settings"],
      );
      await updateRaw(sql, manifestTable, earlier, now);

      await insertRaw(sql, manifestTable, { ...earlier, store_id: "another" });
      await failsWith("STORE_TAMPERED", async () => await store.header(), /manifest/);
      await failsWith("STORE_TAMPERED", async () => await store.generation(), /manifest/);
      await deleteRaw(sql, manifestTable, { ...earlier, store_id: "another" });

      await deleteRaw(sql, manifestTable, now);
      assert.equal(await store.exists(), true);
      await failsWith("STORE_TAMPERED", async () => await store.header(), /manifest/);
      await onSecondConnection(place, async (second) => {
        await failsWith("STORE_TAMPERED", async () => await second.unlock(sampleKey), /manifest: it is missing/);
      });
    });
  });
}

/** What rows alone can't show, so that nobody expects it. */
function testLimits(suite: StoreSuite): void {
  suite.it("finds a whole store put back to an earlier state only while it is open, or by its generation", async () => {
    await inNewStore(suite, async (place) => {
      const { store, sql } = place;
      const settings = layoutOf(tables.settings);
      const old = await store.transaction(async (opened) => await opened.settings.insert({ name: "a", value: "old" }));
      const generation = await store.generation();
      const [row] = await readRaw(sql, settings);
      const [manifest] = await readRaw(sql, manifestTable);
      assert.ok(row && manifest);
      await store.transaction(async (opened) => await opened.settings.update({ ...old, value: "new" }));
      await store.generation();

      await updateRaw(sql, settings, row, row);
      await updateRaw(sql, manifestTable, manifest, manifest);
      await failsWith("STORE_RESTORED", async () => await store.generation());
      await failsWith(
        "STORE_RESTORED",
        async () => await store.transaction(async (opened) => await opened.settings.insert({ name: "b", value: "" })),
      );
      await onSecondConnection(place, async (second) => {
        await second.unlock(sampleKey);
        assert.equal(await second.generation(), generation);
      });
    });
  });
}

/** Values for the columns of a table that must differ between its rows. */
function uniqueValues(name: TableName, n: number): RawRow {
  const definition: TableDefinition = tables[name];
  const unique = definition.unique.flat();
  return Object.fromEntries(
    layoutOf(tables[name])
      .columns.filter(({ property }) => unique.includes(property))
      .map(({ sqlName }) => [sqlName, `unique ${n}`]),
  );
}

/** One edit of each column, the row's own included; of a nullable one also to or from NULL. */
function editsOf(table: TableLayout, row: RawRow): RawRow[] {
  const edits = table.columns.flatMap((column) =>
    otherValues(table, column, row[column.sqlName] ?? null).map((value) => ({ [column.sqlName]: value })),
  );
  const mac = row[rowMacColumn];
  assert.ok(mac instanceof Uint8Array);
  return [
    ...edits,
    { [rowVersionColumn]: BigInt(row[rowVersionColumn]?.toString() ?? "0") + 1n },
    { [rowFormatColumn]: 2n },
    { [rowMacColumn]: Uint8Array.from(mac, (byte) => byte ^ 0x80) },
    { [rowMacColumn]: new Uint8Array(mac.length) },
  ];
}

function otherValues(table: TableLayout, column: ColumnLayout, stored: SqlValue): SqlValue[] {
  const value = stored === null ? null : (column.kind.fromSql(stored) ?? null);
  const other = toSql(otherValue(table.name, column, value));
  return column.nullable && stored !== null ? [other, null] : [other];
}

async function swapContents({ sql }: StorePlace, table: TableLayout, a: RawRow, b: RawRow): Promise<void> {
  await deleteRaw(sql, table, a);
  await updateRaw(sql, table, b, partOf(table, a, "content"));
  await insertRaw(sql, table, { ...partOf(table, b, "content"), ...partOf(table, a, "key") });
}
