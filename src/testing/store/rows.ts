import assert from "node:assert/strict";
import { checkColumns, layoutOf } from "../../store/sql/table-layout.ts";
import type { Page, StoreTables } from "../../store/store.ts";
import { tables, type NewRecord, type RecordKey, type StoredRecord, type TableDefinition, type TableName } from "../../store/tables.ts";
import { filterBy, otherValue, sampleRecord, sampleWith, tableNames, withValue } from "./samples.ts";
import { failsWith, inNewStore, type StoreSuite } from "./suite.ts";

/** What rows can do, for each table. */
export function testRows(suite: StoreSuite): void {
  for (const name of tableNames) testTable(suite, name, [sampleRecord(name, 1), sampleRecord(name, 2)]);

  suite.it("keeps the largest and smallest values", async () => {
    await inNewStore(suite, async ({ store }) => {
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      const records = [
        sampleWith("checkpoints", 1, { takenAt: Number.MAX_SAFE_INTEGER, signer: "", body: new Uint8Array(0) }),
        sampleWith("checkpoints", 2, { takenAt: Number.MIN_SAFE_INTEGER, signer: "\u{10ffff}\ufeff\ufffd\r\n", body: bytes }),
        sampleWith("checkpoints", 3, { takenAt: 0, signer: "x".repeat(100_000), body: new Uint8Array(100_000) }),
      ];
      await store.transaction(async ({ checkpoints }) => {
        for (const record of records) await checkpoints.insert(record);
      });
      const stored = await store.read(async ({ checkpoints }) => await checkpoints.list());
      assert.deepEqual(stored, records.map(firstVersion));
    });
  });

  suite.it("inserts many rows at once, or none of them", async () => {
    await inNewStore(suite, async ({ store }) => {
      const lines = Array.from({ length: 150 }, (_, index) => ({ writer: "a", sequence: index + 1, line: Uint8Array.of(index) }));
      const tags = Array.from({ length: 130 }, (_, index) => ({ name: `s${String(index).padStart(3, "0")}`, value: String(index) }));
      await store.transaction(async ({ auditLines, settings }) => {
        await auditLines.insertAll(lines);
        await auditLines.insertAll([]);
        await settings.insertAll(tags);
      });
      const stored = await store.read(async ({ auditLines, settings }) => [await auditLines.list(), await settings.list()] as const);
      assert.deepEqual(stored, [lines.map(firstVersion), tags.map(firstVersion)]);
      assert.deepEqual(await store.verify(), []);
      const more = [...lines.slice(0, 3).map((line) => ({ ...line, writer: "b" })), ...lines.slice(-1)];
      await failsWith("NAME_TAKEN", async () => {
        await store.transaction(async ({ auditLines }) => {
          // Not even for who goes on nevertheless.
          await auditLines.insertAll(more).catch(() => undefined);
        });
      });
      assert.equal((await store.read(async ({ auditLines }) => await auditLines.list())).length, 150);
    });
  });

  suite.it("lists by the bytes of the primary key", async () => {
    await inNewStore(suite, async ({ store }) => {
      const names = ["b", "B", "a", "é", "z", "\u{1f511}", "\uff21", "a\u0301"];
      await store.transaction(async ({ aliases }) => {
        for (const alias of names) await aliases.insert({ alias, keyId: "key" });
      });
      const stored = await store.read(async ({ aliases }) => await aliases.list());
      const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(
        stored.map(({ alias }) => alias),
        sorted,
      );
    });
  });

  suite.it("lists page by page, forwards and backwards", async () => {
    await inNewStore(suite, async ({ store }) => {
      const keys = ["a", "b", "c"].flatMap((writer) => [1, 2, 3, 10, 20].map((sequence) => ({ writer, sequence })));
      await store.transaction(async ({ auditLines }) => {
        for (const key of keys) await auditLines.insert({ ...key, line: new Uint8Array(0) });
      });
      const page = async (where: { writer?: string }, page: Page<RecordKey<"auditLines">>): Promise<RecordKey<"auditLines">[]> => {
        const rows = await store.read(async ({ auditLines }) => await auditLines.list(where, page));
        return rows.map(({ writer, sequence }) => ({ writer, sequence }));
      };
      for (const [at, after] of keys.entries()) {
        const { writer } = after;
        assert.deepEqual(await page({}, { after, limit: 4 }), keys.slice(at + 1, at + 5));
        assert.deepEqual(await page({}, { after, limit: 4, descending: true }), keys.slice(Math.max(0, at - 4), at).reverse());
        const own = keys.filter((key) => key.writer === writer);
        assert.deepEqual(await page({ writer }, { after, limit: 99 }), own.slice(own.indexOf(after) + 1));
        assert.deepEqual(await page({ writer }, { after, limit: 99, descending: true }), own.slice(0, own.indexOf(after)).reverse());
      }
      assert.deepEqual(await page({}, { limit: 99 }), keys);
      assert.deepEqual(await page({}, { limit: 2, descending: true }), keys.slice(-2).reverse());
      assert.deepEqual(await page({}, { after: { writer: "b", sequence: 5 }, limit: 1 }), [{ writer: "b", sequence: 10 }]);
      assert.deepEqual(await page({}, { after: { writer: "bb", sequence: 0 }, limit: 1 }), [{ writer: "c", sequence: 1 }]);
      for (const limit of [0, -1, 1.5]) await failsWith("INVALID_ARGUMENT", async () => await page({}, { limit }));
    });
  });
}

function testTable<N extends TableName>(suite: StoreSuite, name: N, records: readonly [NewRecord<N>, NewRecord<N>]): void {
  const definition: TableDefinition = tables[name];
  const list = async (opened: StoreTables): Promise<StoredRecord<N>[]> => await opened[name].list();

  suite.it(`${name}: inserts, reads, updates and removes`, async () => {
    await inNewStore(suite, async ({ store }) => {
      const [first, second] = await store.transaction(
        async (opened) => [await opened[name].insert(records[0]), await opened[name].insert(records[1])] as const,
      );
      assert.deepEqual([first, second], records.map(firstVersion));
      await store.read(async (opened) => {
        assert.deepEqual(await opened[name].list(), [first, second]);
        assert.deepEqual(await opened[name].get(records[1]), second);
        assert.equal(await opened[name].get(sampleRecord(name, 3)), undefined);
      });
      let changed = first;
      for (const column of layoutOf(definition).columns) {
        if (definition.key.includes(column.property)) continue;
        const value = otherValue(definition.name, column, checkColumns(layoutOf(definition), [column], changed)[column.property] ?? null);
        const wanted = withValue(name, changed, column.property, value);
        changed = await store.transaction(async (opened) => await opened[name].update(wanted));
        assert.deepEqual(changed, { ...wanted, rowVersion: wanted.rowVersion + 1 });
      }
      await store.transaction(async (opened) => {
        await opened[name].remove(second);
      });
      assert.deepEqual(await store.read(list), [changed]);
      assert.deepEqual(await store.verify(), []);
    });
  });

  suite.it(`${name}: takes each unique combination once`, async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.transaction(async (opened) => await opened[name].insert(records[0]));
      for (const unique of [definition.key, ...definition.unique]) {
        const columns = layoutOf(definition).columns.filter(({ property }) => unique.includes(property));
        const taken = sampleWith(name, 2, checkColumns(layoutOf(definition), columns, records[0]));
        await failsWith("NAME_TAKEN", async () => await store.transaction(async (opened) => await opened[name].insert(taken)));
      }
      assert.deepEqual(await store.read(list), [records[0]].map(firstVersion));
      assert.deepEqual(await store.verify(), []);
    });
  });

  suite.it(`${name}: updates and removes only what was read`, async () => {
    await inNewStore(suite, async ({ store }) => {
      const stale = await store.transaction(async (opened) => await opened[name].insert(records[0]));
      const current = await store.transaction(async (opened) => await opened[name].update(stale));
      assert.deepEqual(current, { ...stale, rowVersion: 2 });
      for (const outdated of [stale, { ...stale, rowVersion: 99 }, { ...records[1], rowVersion: 1 }]) {
        await failsWith("CONFLICT", async () => await store.transaction(async (opened) => await opened[name].update(outdated)));
        await failsWith("CONFLICT", async () => {
          await store.transaction(async (opened) => {
            await opened[name].remove(outdated);
          });
        });
      }
      assert.deepEqual(await store.read(list), [current]);
      assert.deepEqual(await store.verify(), []);
    });
  });

  suite.it(`${name}: lists by every column, and pages`, async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.transaction(async (opened) => {
        for (const record of records) await opened[name].insert(record);
      });
      for (const record of records) {
        for (const property of Object.keys(definition.columns)) {
          const filter = filterBy(name, record, property);
          const found = await store.read(async (opened) => await opened[name].list(filter));
          const expected = records.filter((candidate) => isEqual(filterBy(name, candidate, property), filter));
          assert.deepEqual(found, expected.map(firstVersion), property);
        }
      }
      const [first, second] = records.map(firstVersion);
      await store.read(async (opened) => {
        assert.deepEqual(await opened[name].list({}, { limit: 1 }), [first]);
        assert.deepEqual(await opened[name].list({}, { after: records[0], limit: 9 }), [second]);
        assert.deepEqual(await opened[name].list({}, { limit: 9, descending: true }), [second, first]);
        assert.deepEqual(await opened[name].list(records[0], { after: records[0], limit: 9 }), []);
      });
    });
  });
}

function firstVersion<R>(record: R): R & { rowVersion: number } {
  return { ...record, rowVersion: 1 };
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
