import { expect, inject, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { TransactionPooler } from "../../support/transaction-pooler.ts";

it("works behind a pooler that gives each transaction another session, each set up otherwise", async () => {
  const database = await createTestDatabase();
  const pooler = await TransactionPooler.start(Number(new URL(inject("postgres")).port), 3);
  onTestFinished(async () => {
    pooler.stop();
    await database.dispose();
  });
  const [{ name } = {}] = await database.query("select current_database() as name");
  await database.query("create table person(id int primary key, born timestamptz, share real, name text, token text)");
  await database.query("insert into person select i, '2001-02-03 04:05:06+00', i / 3.0, 'name ' || i from generate_series(1, 1500) i");
  for (const setting of [
    "datestyle = 'German, DMY'",
    "timezone = 'Asia/Kolkata'",
    "extra_float_digits = 0",
    "search_path = nowhere",
    "synchronous_commit = off",
  ]) {
    await database.query(`alter database ${String(name)} set ${setting}`);
  }
  const { keystead } = await createTestKeystead({ databases: { crm: database.url.replace(/:\d+\//, `:${String(pooler.port)}/`) } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  await keystead.datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { name: { key: "pii" } },
    context: { id: "{id}", born: "{born}" },
    indexes: { name: { columns: ["name"], column: "token", key: "bi", kind: "exact", normalisers: ["text"], bits: 24 } },
  });
  expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { values: 1500, problems: 0 } });
  await keystead.keys.rotate("pii");
  const { census } = await keystead.datasets.reencrypt("crm.person");
  expect(census?.columns).toMatchObject([{ plaintext: 0, versions: [{ standing: "current", count: 1500 }] }]);
  const found = await keystead.datasets.find("crm.person", "name", ["NAME 77"]);
  expect(found).toMatchObject({ complete: true, rows: [{ row: { id: "77" }, values: { name: "name 77" } }] });
  const [row] = await database.query("select name from person where id = 77");
  const context = { id: "77", born: "2001-02-03T04:05:06.000000Z", column: "name" };
  expect(await keystead.decryptValue(String(row?.["name"]), { context })).toBe("name 77");
  expect(pooler.transactions.filter((transactions) => transactions > 3).length).toBeGreaterThan(1);
});
