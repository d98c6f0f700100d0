import { expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

it("plaintext moves from a column into a document: sealed beside it, cut over and erased", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create table person(id int primary key, phone text, profile jsonb)");
  await database.query(
    `insert into person select i, case when i % 5 > 0 then '+49 ' || i end, '{"phone": null, "size": 1}' from generate_series(1, 100) i`,
  );
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  const { datasets, keys } = keystead;
  await keys.create({ name: "pii", purpose: "pii" });
  const columns = { phone: { key: "pii", column: "profile.phone", plaintext: "phone" } };
  await datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
  const plaintext = async (): Promise<unknown> => (await datasets.takeCensus("crm.person")).columns.map((column) => column.plaintext);
  expect(await plaintext()).toEqual([80]);
  expect(await datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { replaced: 80, problems: 0 } });
  expect(await plaintext()).toEqual([0]);
  await datasets.cutOverColumn("crm.person", "phone");
  expect(await datasets.eraseColumn("crm.person", "phone")).toMatchObject({ state: "done", progress: { replaced: 80, problems: 0 } });
  expect(await database.query("select from person where phone is not null")).toEqual([]);
  for (const { id, profile, sealed } of await database.query("select id, profile, profile ->> 'phone' as sealed from person")) {
    const context = { dataset: "crm.person", "row.id": String(id), column: "phone" };
    if (Number(id) % 5 === 0) expect(sealed).toBeNull();
    else expect(await keystead.decryptValue(String(sealed), { context })).toBe(`+49 ${String(id)}`);
    expect(profile).toMatchObject({ size: 1 });
  }
});
