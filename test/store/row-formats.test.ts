import { createHmac } from "node:crypto";
import { join } from "node:path";
import { CompiledQuery } from "kysely";
import { describe, expect, it } from "vitest";
import { encodeFields } from "../../src/crypto/encode.ts";
import { type Migration, migrations } from "../../src/store/sql/migrations.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { layoutOf } from "../../src/store/sql/table-layout.ts";
import type { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import { type AddedColumn, type TableDefinition, type TableDefinitions, tables } from "../../src/store/tables.ts";
import { partOf, readRaw, updateRaw } from "../../src/testing/store/raw-rows.ts";
import { codeOf, createStoreFile, metadataKey, openRaw, temporaryFolder } from "./places.ts";

/** Row formats 2 and 3 of aliases, as later releases could bring them: what may be done by an alias, and until when. */
const withPermits: TableDefinition = {
  ...tables.aliases,
  columns: { ...tables.aliases.columns, permits: "text" },
  added: { permits: { format: 2, value: "all" } },
};
const withUntil: TableDefinition = {
  ...withPermits,
  columns: { ...withPermits.columns, until: "integer?" },
  added: { ...withPermits.added, until: { format: 3, value: null } },
};
const addPermits: Migration = {
  number: migrations.length + 1,
  up: async (sql) => {
    await sql.schema
      .alterTable("aliases")
      .addColumn("permits", "text", (column) => column.notNull().defaultTo("all"))
      .execute();
  },
};
const addUntil: Migration = {
  number: migrations.length + 2,
  up: async (sql) => {
    await sql.schema.alterTable("aliases").addColumn("until", "integer").execute();
  },
};
const releases = [
  { steps: migrations, definitions: tables },
  { steps: [...migrations, addPermits], definitions: { ...tables, aliases: withPermits } },
  { steps: [...migrations, addPermits, addUntil], definitions: { ...tables, aliases: withUntil } },
] as const satisfies readonly { readonly steps: readonly Migration[]; readonly definitions: TableDefinitions }[];

const first = { alias: "alias 0" };
const layout = layoutOf(withPermits);

/** A store of the first release with 20 aliases, and how a later release opens it. */
interface OldStore {
  readonly raw: SqliteDatabase;
  readonly open: (release: 0 | 1 | 2) => Promise<SqlStore>;
}

async function withOldStore(test: (old: OldStore) => Promise<void>): Promise<void> {
  using folder = temporaryFolder();
  const path = join(folder.path, "keystead.db");
  await createStoreFile(path);
  const stores: SqlStore[] = [];
  const raw = await openRaw(path);
  const open = async (release: 0 | 1 | 2): Promise<SqlStore> => {
    const { steps, definitions } = releases[release];
    const store = new SqlStore(await openRaw(path), steps, definitions);
    stores.push(store);
    await store.migrate();
    await store.unlock(metadataKey);
    return store;
  };
  try {
    await test({ raw, open });
  } finally {
    for (const store of stores) await store.close();
    await raw.close();
  }
}

/** The formats of the stored aliases, in the order of their names. */
async function formatsOf(raw: SqliteDatabase): Promise<number[]> {
  const { rows } = await raw.sql.executeQuery<{ row_format: bigint }>(
    CompiledQuery.raw("select row_format from aliases order by alias limit 2"),
  );
  return rows.map((row) => Number(row.row_format));
}

/** Sets what an alias permits. */
async function permit(store: SqlStore, permits: string): Promise<void> {
  await store.transaction(async ({ aliases }) => {
    const row = await aliases.get(first);
    if (row !== undefined) await aliases.update(Object.assign(row, { permits }));
  });
}

function hmac(...fields: readonly (string | number)[]): Buffer {
  return createHmac("sha256", metadataKey)
    .update(encodeFields(...fields))
    .digest();
}

async function rawFirst(raw: SqliteDatabase) {
  const [row] = await readRaw(raw.sql, layout);
  if (row === undefined) throw new Error("there are aliases");
  return row;
}

describe("rows of an older format", () => {
  it("verify under their own columns, and have the default in the newer ones", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(1);
      expect(await store.verify()).toEqual([]);
      const rows = await store.read(async ({ aliases }) => await aliases.list());
      expect(rows).toHaveLength(20);
      expect(rows[0]).toEqual({ alias: "alias 0", keyId: "key 0", permits: "all", rowVersion: 1 });
      expect(await formatsOf(raw)).toEqual([1, 1]);
    });
  });

  it("are found by their newer columns", async () => {
    await withOldStore(async ({ open }) => {
      const store = await open(1);
      await permit(store, "reading");
      const count = async (where: object) => (await store.read(({ aliases }) => aliases.list(where))).length;
      expect([await count({ permits: "all" }), await count({ permits: "reading" })]).toEqual([19, 1]);
    });
  });

  it("move to the newest format when they are updated, from whichever they have", async () => {
    await withOldStore(async ({ raw, open }) => {
      const second = await open(1);
      await permit(second, "reading");
      expect(await formatsOf(raw)).toEqual([2, 1]);
      await second.close();

      const store = await open(2);
      expect(await store.verify()).toEqual([]);
      const [moved, old] = await store.read(({ aliases }) => aliases.list());
      expect(moved).toMatchObject({ permits: "reading", until: null, rowVersion: 2 });
      expect(old).toMatchObject({ permits: "all", until: null, rowVersion: 1 });
      await store.transaction(async ({ aliases }) => {
        if (moved !== undefined) await aliases.update(Object.assign(moved, { until: 7 }));
        if (old !== undefined) await aliases.remove(old);
        await aliases.insert(Object.assign({ alias: "alias 00", keyId: "k" }, { permits: "", until: null }));
      });
      expect(await formatsOf(raw)).toEqual([3, 3]);
      expect(await store.verify()).toEqual([]);
      expect(await store.read(({ aliases }) => aliases.get(first))).toMatchObject({ permits: "reading", until: 7, rowVersion: 3 });
    });
  });

  it("are MACed over their format number and its columns, as the others are", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(2);
      await permit(store, "reading");
      const [row, old] = await readRaw(raw.sql, layout);
      const columns = ["aliases", "alias", "t", "alias 0", "key_id", "t", "key 0", "permits", "t", "reading", "until", "n", ""];
      expect(row?.["row_mac"]).toEqual(Uint8Array.from(hmac(3, ...columns, "row_version", "i", 2)));
      const oldColumns = ["aliases", "alias", "t", "alias 1", "key_id", "t", "key 1", "row_version", "i", 1];
      expect(old?.["row_mac"]).toEqual(Uint8Array.from(hmac(1, ...oldColumns)));
    });
  });

  it("are refused when somebody fills in a column that their format does not have", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(1);
      await updateRaw(raw.sql, layout, await rawFirst(raw), { permits: "nothing" });
      expect(await codeOf(() => store.read(({ aliases }) => aliases.get(first)))).toBe("STORE_TAMPERED");
      const problem = "permits was filled in, and its row_format does not have it";
      expect(await store.verify()).toMatchObject([{ table: "aliases", row: 'alias="alias 0"', problem }]);
    });
  });
});

describe("a row whose format number was edited", () => {
  it("is refused, to whichever format, with the newer columns as they were or as the older format has them", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(2);
      await permit(store, "reading");
      const genuine = await rawFirst(raw);
      const edits = [0, 1, 2, 4, -1].flatMap((format) => [
        { row_format: BigInt(format) },
        { row_format: BigInt(format), permits: "all" },
        { row_format: BigInt(format), permits: "all", until: null },
      ]);
      for (const edit of edits) {
        // The table's own check refuses numbers below 1.
        if (edit.row_format < 1n) {
          await expect(updateRaw(raw.sql, layout, genuine, edit)).rejects.toThrow();
          continue;
        }
        await updateRaw(raw.sql, layout, genuine, edit);
        expect(await codeOf(() => store.read(({ aliases }) => aliases.get(first)))).toBe("STORE_TAMPERED");
        expect(await codeOf(() => store.unlock(metadataKey))).toBe("STORE_TAMPERED");
        expect((await store.verify()).map(({ row }) => row)).toContain('alias="alias 0"');
        await updateRaw(raw.sql, layout, { ...genuine, ...edit }, genuine);
        await store.unlock(metadataKey);
      }
    });
  });

  it("is refused when it pretends to be newer, too", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(1);
      for (const edit of [{ row_format: 2n }, { row_format: 2n, permits: "nothing" }]) {
        const genuine = await rawFirst(raw);
        await updateRaw(raw.sql, layout, genuine, edit);
        expect(await codeOf(() => store.read(({ aliases }) => aliases.get(first)))).toBe("STORE_TAMPERED");
        await updateRaw(raw.sql, layout, { ...genuine, ...edit }, genuine);
      }
    });
  });

  it("is found by the manifest when the whole row, older format and all, is put back as it once was", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(1);
      const genuine = await rawFirst(raw);
      await permit(store, "reading");
      await updateRaw(raw.sql, layout, await rawFirst(raw), genuine);
      const problem = "a row was replayed: it is as it was at an earlier time";
      expect(await store.verify()).toEqual([{ table: "aliases", problem }]);
      expect(await codeOf(() => store.unlock(metadataKey))).toBe("STORE_TAMPERED");
    });
  });

  it("is not hidden by the content of another row", async () => {
    await withOldStore(async ({ raw, open }) => {
      const store = await open(1);
      await permit(store, "reading");
      const [changed, old] = await readRaw(raw.sql, layout);
      if (changed === undefined || old === undefined) throw new Error("there are aliases");
      await updateRaw(raw.sql, layout, changed, partOf(layout, old, "content"));
      expect(await store.verify()).toMatchObject([
        { row: 'alias="alias 0"', problem: 'it holds the content of another row (alias="alias 1")' },
        { table: "aliases" },
      ]);
    });
  });
});

describe("definitions of row formats", () => {
  const define = (columns: TableDefinition["columns"], added: Readonly<Record<string, AddedColumn>>) =>
    layoutOf({ name: "t", guard: "followed", key: ["a"], unique: [], columns, added });

  it("give each format its columns", () => {
    const { format, formats, columns } = layoutOf(withUntil);
    const names = [...formats].map(([number, covered]) => [number, covered.map(({ sqlName }) => sqlName)]);
    expect(format).toBe(3);
    expect(names).toEqual([
      [1, ["alias", "key_id"]],
      [2, ["alias", "key_id", "permits"]],
      [3, ["alias", "key_id", "permits", "until"]],
    ]);
    expect(columns).toEqual(formats.get(3));
  });

  it.each<[string, TableDefinition["columns"], Readonly<Record<string, AddedColumn>>]>([
    ["not at the end", { a: "text", c: "text", b: "text" }, { c: { format: 2, value: "" } }],
    ["a format left out", { a: "text", b: "text" }, { b: { format: 3, value: "" } }],
    ["formats out of order", { a: "text", b: "text", c: "text" }, { b: { format: 3, value: "" }, c: { format: 2, value: "" } }],
    ["a column of the key", { a: "text" }, { a: { format: 2, value: "" } }],
    ["a column that is not there", { a: "text" }, { b: { format: 2, value: "" } }],
    ["a default of another type", { a: "text", b: "text" }, { b: { format: 2, value: 1 } }],
    ["no default", { a: "text", b: "text" }, { b: { format: 2, value: null } }],
  ])("refuse %s", (_, columns, added) => {
    expect(() => define(columns, added)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});
