import { randomUUID } from "node:crypto";
import { expect, inject, it, onTestFinished } from "vitest";
import { canaries } from "../../setup/canary.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

it("protects, searches, moves and counts a table of PostgreSQL, with a store in PostgreSQL", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create schema crm");
  await database.query(
    `create table crm.person(tenant uuid, id bigint, email varchar(300), scan bytea, email_index text, primary key (tenant, id)) partition by hash (tenant)`,
  );
  for (const part of ["0", "1"])
    await database.query(`create table crm.person_${part} partition of crm.person for values with (modulus 2, remainder ${part})`);
  const tenants = [randomUUID(), randomUUID(), randomUUID()];
  for (const tenant of tenants) {
    await database.query(
      "insert into crm.person select $1, i, 'Person' || i || '@example.org', case when i % 3 = 0 then sha256(i::text::bytea) end from generate_series(1, 700) i",
      [tenant],
    );
  }
  await database.query("update crm.person set email = $1 where id = 5", [canaries.email.text]);
  const plain = await database.query("select * from crm.person order by tenant, id");
  const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
  const { keystead } = await createTestKeystead({ store, databases: { crm: database.url } });
  const { keys, datasets } = keystead;
  await keys.create({ name: "pii", purpose: "pii" });
  await keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  const { advice } = await datasets.add("crm.person", {
    database: "crm",
    table: "crm.person",
    keyColumns: ["tenant", "id"],
    columns: { email: { key: "pii" }, scan: { key: "pii" } },
    indexes: { email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"] } },
  });
  expect(advice).toContain('CREATE INDEX "person_email_index" ON "crm"."person" ("email_index")');
  await database.query('create index "person_email_index" on "crm"."person" ("email_index")');

  const standings = async (): Promise<unknown> =>
    (await datasets.takeCensus("crm.person")).columns.map(({ plaintext, versions }) => [
      plaintext,
      versions.map(({ version, count }) => `${version.replace(/-.*/, "")}: ${String(count)}`),
    ]);
  expect(await standings()).toEqual([
    [2100, []],
    [699, []],
  ]);
  expect((await datasets.protect("crm.person")).progress).toMatchObject({ replaced: 2100, values: 2799, problems: 0 });
  await keys.rotate("pii");
  expect(await standings()).toEqual([
    [0, ["1: 2100"]],
    [0, ["1: 699"]],
  ]);
  const found = await datasets.find("crm.person", "email", ["person77@EXAMPLE.org"]);
  expect(found).toMatchObject({ complete: true, more: false });
  expect(found.rows.map(({ row, values }) => [row["id"], values["email"]])).toEqual(tenants.map(() => ["77", "Person77@example.org"]));

  expect((await datasets.reencrypt("crm.person")).progress).toMatchObject({ replaced: 2100, problems: 0 });
  expect(await standings()).toEqual([
    [0, ["2: 2100"]],
    [0, ["2: 699"]],
  ]);
  const [sealed] = await database.query("select email, scan from crm.person where id = 3 limit 1");
  expect(sealed?.["email"]).toMatch(/^ks1:pii:2-/);
  expect(String(sealed?.["scan"])).toMatch(/^ks1b:pii:2-/);
  expect((await datasets.unprotect("crm.person")).progress).toMatchObject({ problems: 0 });
  const after = await database.query("select * from crm.person order by tenant, id");
  expect(after.map((row) => ({ ...row, email_index: null }))).toEqual(plain);
});
