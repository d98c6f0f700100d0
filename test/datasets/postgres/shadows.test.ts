import { expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { type PersonTable, shadowedColumns, startNewRelease, startOldRelease } from "../support/shadow-application.ts";

it("columns of any type are sealed beside their plaintext, cut over and erased", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    "create table person(id bigint primary key, phone varchar(20), age int, phone_sealed text, age_sealed text, " +
      "born date, born_sealed bytea, active boolean, active_sealed text, seen timestamptz, seen_sealed text)",
  );
  await database.query("create index by_phone on person (phone)");
  const table: PersonTable = {
    write: async (id, columns) => {
      const entries = Object.entries({ ...columns, id });
      const names = entries.map(([name]) => `"${name}"`).join(", ");
      const places = entries.map((_, place) => `$${String(place + 1)}`).join(", ");
      const sets = entries.map(([name]) => `"${name}" = excluded."${name}"`).join(", ");
      await database.query(
        `insert into person (${names}) values (${places}) on conflict (id) do update set ${sets}`,
        entries.map(([, value]) => value),
      );
    },
    read: async (id) => ({ ...(await database.query("select * from person where id = $1", [id]))[0] }),
  };
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  const { datasets, keys } = keystead;
  await keys.create({ name: "pii", purpose: "pii" });
  await datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: {
      ...shadowedColumns,
      ...Object.fromEntries(["born", "active", "seen"].map((name) => [name, { key: "pii", column: `${name}_sealed`, plaintext: name }])),
    },
  });
  const columns = ["phone", "age", "born", "active", "seen"];
  const old = startOldRelease(table);
  for (let id = 1; id <= 30; id += 1) await old.write({ id, phone: id % 3 === 0 ? null : `+49 ${String(id)}`, age: id });
  await database.query("update person set born = '1980-05-01', active = id % 2 = 0, seen = '2026-01-31 12:00:00.5+02' where id < 20");
  const plaintext = async (): Promise<number[]> => (await datasets.takeCensus("crm.person")).columns.map((column) => column.plaintext);
  expect(await plaintext()).toEqual([20, 30, 19, 19, 19]);
  const dual = await startNewRelease(keystead, table);
  expect((await datasets.protect("crm.person")).progress).toMatchObject({ replaced: 30, values: 107, problems: 0 });
  expect(await plaintext()).toEqual([0, 0, 0, 0, 0]);

  await old.write({ id: 1, phone: "+1", age: null });
  await dual.write({ id: 2, phone: null, age: 3 });
  expect((await dual.read(1)).phone).toBe("+1");
  expect((await datasets.protect("crm.person")).progress.replaced).toBe(1);
  for (const column of columns) await datasets.cutOverColumn("crm.person", column);
  const after = await startNewRelease(keystead, table);
  for (const reader of [dual, after]) {
    expect(await reader.read(1)).toEqual({ id: 1, phone: "+1", age: null });
    expect(await reader.read(2)).toEqual({ id: 2, phone: null, age: 3 });
  }
  await database.query("update person set age = 1 where id = 1");
  await expect(datasets.eraseColumn("crm.person", "age")).rejects.toMatchObject({ code: "JOB_INCOMPLETE" });
  await database.query("update person set age = null, age_sealed = null where id = 1");
  for (const column of columns) {
    const { remains } = await datasets.eraseColumn("crm.person", column);
    if (column === "phone") expect(remains?.[0]).toContain('"by_phone"');
  }
  for (const column of columns) await datasets.eraseColumn("crm.person", column);
  expect(await database.query(`select ${columns.map((name) => `count(${name})::int as ${name}`).join(", ")} from person`)).toEqual([
    { phone: 0, age: 0, born: 0, active: 0, seen: 0 },
  ]);
  await database.query(`alter table person ${columns.map((name) => `drop ${name}`).join(", ")}`);
  const last = await startNewRelease(keystead, table);
  await last.write({ id: 1, phone: "+2", age: 4 });
  expect(await last.read(1)).toEqual({ id: 1, phone: "+2", age: 4 });
  expect(await last.read(5)).toEqual({ id: 5, phone: "+49 5", age: 5 });
  expect((await datasets.verify("crm.person")).progress).toMatchObject({ scanned: 30, problems: 0 });
});

it("JSON, and plaintext that must not be NULL, are refused before anything is lost", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    "create table person(id bigint primary key, notes jsonb, notes_sealed text, phone text not null, phone_sealed text)",
  );
  await database.query("insert into person values (1, '{}', null, '1', null)");
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  const dataset = (column: string) => ({
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { [column]: { key: "pii", column: `${column}_sealed`, plaintext: column } },
  });
  await expect(keystead.datasets.add("notes", dataset("notes"))).rejects.toMatchObject({ code: "DATASET_UNSUITABLE" });
  await keystead.datasets.add("phones", dataset("phone"));
  await keystead.datasets.protect("phones");
  await keystead.datasets.cutOverColumn("phones", "phone");
  await expect(keystead.datasets.eraseColumn("phones", "phone")).rejects.toMatchObject({ code: "DATASET_UNSUITABLE" });
  await database.query('alter table person alter column "phone" drop not null');
  expect((await keystead.datasets.eraseColumn("phones", "phone")).progress.replaced).toBe(1);
});
