import { expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

it("takes an index of a PostgreSQL table to another generation, and finds every row at every step", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create table person(id int primary key, email text, email_index text, email_index_2 varchar(48))");
  await database.query("create index person_email_index on person (email_index)");
  await database.query("insert into person select i, 'Person' || i || '@example.org' from generate_series(1, 700) i");
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  const { keys, datasets } = keystead;
  await keys.create({ name: "pii", purpose: "pii" });
  await keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  await datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { email: { key: "pii" } },
    indexes: { email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"], bits: 16 } },
  });
  await datasets.protect("crm.person");
  const expectFound = async (): Promise<void> => {
    for (const id of [1, 350, 700]) {
      const found = await datasets.find("crm.person", "email", [`PERSON${String(id)}@example.org`]);
      expect(found).toMatchObject({ complete: true, rows: [{ row: { id: String(id) } }] });
    }
  };
  const tokensOf = async (column: string): Promise<number> => {
    const [row] = await database.query(`select count(${column})::int as count from person`);
    return Number(row?.["count"]);
  };

  await keys.rotate("bi");
  const { advice } = await datasets.startGeneration("crm.person", "email", { column: "email_index_2", bits: 24 });
  expect(advice).toEqual(['CREATE INDEX CONCURRENTLY "person_email_index_2" ON "public"."person" ("email_index_2")']);
  await expectFound();
  await datasets.index("crm.person");
  expect(await tokensOf("email_index_2")).toBe(700);
  await expectFound();
  // An application that does not know the new generation writes the token of the old one: a row of each kind is found.
  await database.query("update person set email_index_2 = null where id = 350");
  await expectFound();
  await database.query("create index person_email_index_2 on person (email_index_2)");
  await expect(datasets.cutOver("crm.person", "email", 2)).rejects.toMatchObject({ code: "JOB_INCOMPLETE" });
  await datasets.cutOver("crm.person", "email", 2);
  await expectFound();
  await database.query("update person set email_index_2 = null where id = 350");
  await database.query("update person set email_index = null where id = 700");
  await expectFound();
  await datasets.dropGeneration("crm.person", "email", 1);
  expect((await datasets.index("crm.person")).progress).toMatchObject({ problems: 0, replaced: 699 });
  expect([await tokensOf("email_index"), await tokensOf("email_index_2")]).toEqual([0, 700]);
  await database.query("alter table person drop column email_index");
  await expectFound();
  expect((await datasets.show("crm.person")).indexes).toMatchObject([{ state: "retired" }, { state: "live", searched: true }]);
});
