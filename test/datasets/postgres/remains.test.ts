import { expect, it, onTestFinished } from "vitest";
import { canaries } from "../../setup/canary.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

it("protect says where PostgreSQL still has plaintext, and what takes it away", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create table person(id bigint primary key, email text)");
  await database.query("create index by_email on person (email)");
  await database.query("create index by_id on person (id)");
  await database.query("insert into person select i, $1 from generate_series(1, 300) i", [canaries.email.text]);
  await database.query("analyze person");
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { email: { key: "pii" } },
  });
  const { remains = [] } = await keystead.datasets.protect("crm.person");
  expect(remains[0]).toMatch(/^dead rows .* indexes "by_email": VACUUM \(FULL\) "public"."person"/);
  expect(remains.join("\n")).not.toContain("by_id");
  expect(remains[1]).toContain('ANALYZE "public"."person"');
  const samples = async (): Promise<string> =>
    JSON.stringify(await database.query("select most_common_vals::text from pg_stats where tablename = 'person'"));
  expect(await samples()).toContain(canaries.email.text);
  await database.query("vacuum (full, analyze) person");
  expect(await samples()).not.toContain(canaries.email.text);
});
