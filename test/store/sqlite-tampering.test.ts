import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CompiledQuery } from "kysely";
import { describe, expect, it } from "vitest";
import { createStoreFile, openRaw, openUnlocked, temporaryFolder } from "./places.ts";

/** What somebody does to the structure of a store's database, and what is then found. */
const changes: readonly (readonly [change: string, statements: readonly string[], found: readonly string[]])[] = [
  [
    "a trigger",
    ["create trigger helper after insert on versions begin delete from censuses; end"],
    ["versions: Keystead did not make the trigger helper"],
  ],
  ["a view", ["create view helper as select 1"], ["helper: Keystead did not make the view helper"]],
  ["a further table", ["create table helper (a)"], ["helper: Keystead did not make the table helper"]],
  ["a dropped table", ["drop table counters"], ["counters: the table counters is missing"]],
  ["a dropped manifest", ["drop table manifest"], ["manifest: the table manifest is missing"]],
  ["a renamed column", ["alter table wraps rename kek_id to kek"], ["wraps: the table wraps is not as Keystead makes it"]],
  [
    "a table without its constraints",
    ["alter table keys rename to old", "create table keys as select * from old", "drop table old"],
    ["keys: the table keys is not as Keystead makes it"],
  ],
  [
    "a view in place of a table",
    ["alter table aliases rename to hidden", "create view aliases as select * from hidden where alias <> 'alias 3'"],
    ["aliases: the table aliases is not as Keystead makes it", "hidden: Keystead did not make the table hidden"],
  ],
];

describe("the structure of the database", () => {
  it.each(changes)("%s is found", async (_, statements, found) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const store = await openUnlocked(path);
    const raw = await openRaw(path);
    for (const statement of statements) await raw.sql.executeQuery(CompiledQuery.raw(statement));
    await raw.close();
    const structure = (await store.verify()).filter(({ row }) => row === undefined).map(({ table, problem }) => `${table}: ${problem}`);
    expect(structure).toEqual(expect.arrayContaining([...found]));
    await store.close();
    await expect(openUnlocked(path)).rejects.toMatchObject({
      code: "STORE_TAMPERED",
      message: expect.stringContaining(found[0] ?? "") as string,
    });
  });

  it("an index that misses a row is found, although every row is there", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const store = await openUnlocked(path);
    await store.transaction(async ({ datasets }) => {
      for (const id of ["1", "2"]) await datasets.insert({ id, name: `dataset ${id}`, definition: "{}", createdAt: 0, removedAt: null });
    });
    await store.close();
    const editor = new DatabaseSync(path, { defensive: false });
    editor.exec("create table spare (name text); create unique index spare_key on spare (name)");
    editor.exec("insert into spare (rowid, name) select rowid, name from datasets where id = '2'");
    editor.exec("pragma writable_schema = on");
    editor.exec(
      "update sqlite_schema set rootpage = (select rootpage from sqlite_schema where name = 'spare_key') where name = 'sqlite_autoindex_datasets_2'",
    );
    editor.exec("delete from sqlite_schema where tbl_name = 'spare'");
    editor.close();
    const message = expect.stringMatching(/datasets: its pages, indexes or constraints are damaged/) as string;
    await expect(openUnlocked(path)).rejects.toMatchObject({ code: "STORE_TAMPERED", message });
  });

  it("an index that somebody added for speed is none of the store's business", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const raw = await openRaw(path);
    await raw.sql.executeQuery(CompiledQuery.raw("create index helper on versions (state)"));
    await raw.sql.executeQuery(CompiledQuery.raw("analyze"));
    await raw.close();
    const store = await openUnlocked(path);
    expect(await store.verify()).toEqual([]);
    await store.close();
  });

  it.each([
    ["a schema number of the future", "pragma user_version = 99", "STORE_SCHEMA_NEWER"],
    ["no schema number", "pragma user_version = 0", "STORE_TAMPERED"],
    ["a negative schema number", "pragma user_version = -1", "STORE_TAMPERED"],
    ["another application's mark", "pragma application_id = 7", "STORE_FAILED"],
  ])("%s is refused", async (_, statement, code) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const raw = await openRaw(path);
    await raw.sql.executeQuery(CompiledQuery.raw(statement));
    await raw.close();
    await expect(openUnlocked(path)).rejects.toMatchObject({ code });
  });

  it.each([
    ["an integer that no number holds", "update counters set seals = 9223372036854775807"],
    ["a type that the column has not", "update aliases set key_id = x'00' where alias = 'alias 3'"],
  ])("%s is found, in a table that still looks the same", async (_, statement) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const editor = new DatabaseSync(path, { defensive: false });
    editor.exec("pragma writable_schema = on; update sqlite_schema set sql = replace(sql, ' strict', '')");
    editor.close();
    const loose = new DatabaseSync(path, { defensive: false });
    loose.exec(statement);
    loose.exec("pragma writable_schema = on; update sqlite_schema set sql = sql || ' strict' where type = 'table'");
    loose.close();
    await expect(openUnlocked(path)).rejects.toMatchObject({
      code: "STORE_TAMPERED",
      message: expect.stringContaining("another type") as string,
    });
  });
});
