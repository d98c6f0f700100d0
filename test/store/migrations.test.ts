import { createHash } from "node:crypto";
import { join } from "node:path";
import { CompiledQuery } from "kysely";
import { describe, expect, it } from "vitest";
import { migrations, type Migration } from "../../src/store/sql/migrations.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { layoutOf } from "../../src/store/sql/table-layout.ts";
import { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import { tables, type TableDefinition } from "../../src/store/tables.ts";
import { codeOf, createStoreFile, metadataKey, newIdentity, noRows, openRaw, temporaryFolder } from "./places.ts";

const addNote: Migration = {
  number: migrations.length + 1,
  up: async (sql) => {
    await sql.schema.alterTable("audit_lines").addColumn("note", "text").execute();
    await sql.insertInto("audit_lines").values(lineOf("migrated")).execute();
  },
};
const breakHalfway: Migration = {
  number: migrations.length + 1,
  up: async (sql) => {
    await sql.schema.dropTable("audit_lines").execute();
    throw new RangeError("deliberate");
  },
};
const twoSteps = [...migrations, addNote];

function lineOf(writer: string): Record<string, string | number | Uint8Array> {
  return { writer, sequence: 0, line: new Uint8Array(), row_version: 1 };
}

async function withOldStore(test: (open: (steps?: readonly Migration[]) => Promise<SqlStore>) => Promise<void>): Promise<void> {
  using folder = temporaryFolder();
  const path = join(folder.path, "keystead.db");
  await createStoreFile(path);
  const opened: SqlStore[] = [];
  try {
    await test(async (steps) => {
      const store = new SqlStore(await openRaw(path), steps);
      opened.push(store);
      return store;
    });
  } finally {
    for (const store of opened) await store.close();
  }
}

async function query(database: SqliteDatabase, text: string): Promise<Record<string, unknown>[]> {
  return (await database.sql.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text))).rows;
}

describe("the migration steps", () => {
  it("make the tables that tables.ts describes", async () => {
    const database = await SqliteDatabase.openInMemory();
    await new SqlStore(database).create(newIdentity, metadataKey, noRows);
    for (const definition of Object.values<TableDefinition>(tables)) {
      const layout = layoutOf(definition);
      const columns = await query(database, `select name, type, "notnull", pk from pragma_table_info('${layout.name}')`);
      const expected = layout.columns.map((column) => ({
        name: column.sqlName,
        type: { text: "TEXT", integer: "INTEGER", bytes: "BLOB" }[column.kind.name],
        notnull: column.nullable ? 0n : 1n,
        pk: BigInt(layout.key.indexOf(column) + 1),
      }));
      // A column that came later stands behind those that every table has.
      expect(columns.filter(({ name }) => expected.some((column) => column.name === name))).toEqual(expected);
      expect(columns.map(({ name }) => String(name)).sort()).toEqual([...layout.sqlNames].sort());
      const indexes = await query(database, `select name from pragma_index_list('${layout.name}') where origin = 'u'`);
      const unique = await Promise.all(
        indexes.map(async ({ name }) => await query(database, `select name from pragma_index_info('${String(name)}')`)),
      );
      expect(unique.map((names) => names.map(({ name }) => name))).toEqual(definition.unique.map((names) => [...names]));
      const [{ strict } = {}] = await query(database, `select strict from pragma_table_list('${layout.name}')`);
      expect(strict).toBe(1n);
    }
    await database.close();
  });

  it.each([
    [1, "410b2f5f0534647d7323b832f53fee7ec75a1ed37d0691d6a992920fea5e17a0"],
    [2, "c010eb8a4fe8db9c1c521b0003f8b1921a7d25259e6509efed8cc844054764bb"],
    [3, "5b89a6b42791f9935ed1405f8b473c021fdafbec22bc035c1705ec2fca8f5933"],
  ])("are frozen up to %i: once released, a change of the schema is a further step", async (step, expected) => {
    const database = await SqliteDatabase.openInMemory();
    await new SqlStore(database, migrations.slice(0, step)).create(newIdentity, metadataKey, noRows);
    const statements = await query(database, "select sql from sqlite_schema where sql is not null order by name");
    const digest = createHash("sha256")
      .update(statements.map(({ sql }) => String(sql)).join("\n"))
      .digest("hex");
    expect(digest).toBe(expected);
    await database.close();
  });

  it("have numbers without gaps", () => {
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1));
  });
});

describe("migrate", () => {
  it("names an older schema, then brings it up once, whoever asks how often", async () => {
    await withOldStore(async (open) => {
      const store = await open(twoSteps);
      const stores = [store, await open(twoSteps), await open(twoSteps)];
      expect(await store.exists()).toBe(true);
      expect(await codeOf(async () => await store.header())).toBe("STORE_SCHEMA_OLDER");
      expect(await codeOf(async () => await store.unlock(metadataKey))).toBe("STORE_SCHEMA_OLDER");
      await expect(store.unlock(metadataKey)).rejects.toThrow("keystead doctor --migrate");
      await Promise.all([...stores, ...stores].map(async (each) => await each.migrate()));
      for (const each of stores) {
        await each.unlock(metadataKey);
        expect(await each.verify()).toEqual([]);
      }
      expect((await store.read(async ({ auditLines }) => await auditLines.list())).map(({ writer }) => writer)).toEqual(["migrated"]);
    });
  });

  it("leaves everything as it was when a step fails", async () => {
    await withOldStore(async (open) => {
      const broken = await open([...migrations, breakHalfway]);
      await expect(broken.migrate()).rejects.toThrow(RangeError);
      const old = await open();
      await old.unlock(metadataKey);
      expect(await old.read(async ({ auditLines }) => await auditLines.list())).toEqual([]);
    });
  });

  it("stops a program that is older than the store, even one that has it open", async () => {
    await withOldStore(async (open) => {
      const [old, young] = [await open(), await open(twoSteps)];
      await old.unlock(metadataKey);
      await young.migrate();
      expect(await codeOf(async () => await old.read(noRows))).toBe("STORE_SCHEMA_NEWER");
      expect(await codeOf(async () => await old.transaction(noRows))).toBe("STORE_SCHEMA_NEWER");
      expect(await codeOf(async () => await old.header())).toBe("STORE_SCHEMA_NEWER");
      expect(await codeOf(async () => await old.unlock(metadataKey))).toBe("STORE_SCHEMA_NEWER");
      expect(await codeOf(async () => await old.migrate())).toBe("STORE_SCHEMA_NEWER");
    });
  });

  it("finds that the schema number was lowered by hand", async () => {
    await withOldStore(async (open) => {
      const young = await open(twoSteps);
      await young.migrate();
      await young.unlock(metadataKey);
      await young.transaction(async ({ settings }) => await settings.insert({ name: "a", value: "" }));
      const database = await SqliteDatabase.open({
        url: "",
        location: young.url.slice("sqlite:".length),
        readOnly: false,
        wait: { clock: { now: () => 0, monotonic: () => 0, wait: noRows }, timeout: 0 },
        assertInPlace: () => undefined,
      });
      await query(database, `pragma user_version = ${String(migrations.length)}`);
      await database.close();
      const old = await open();
      await expect(old.unlock(metadataKey)).rejects.toMatchObject({
        code: "STORE_TAMPERED",
        message: expect.stringContaining("manifest: the database's schema number was lowered") as string,
      });
    });
  });
});
