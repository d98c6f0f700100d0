import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { day } from "../support/test-clock.ts";
import { createTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

it("a value that comes back after its version was destroyed is named as such, and no job is said to move it", async () => {
  const path = join(temporaryFolder(), "crm.db");
  const crm = new DatabaseSync(path);
  crm.exec("create table person (id integer primary key, email text); insert into person values (1, 'a@example.org'), (2, null)");
  const { keystead, clock } = await createTestKeystead({ databases: { crm: `sqlite:${path}` } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  const columns = { email: { key: "pii" } };
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
  await keystead.datasets.protect("crm.person");
  const [backup] = crm.prepare("select email from person where id = 1").all();
  await keystead.keys.rotate("pii");
  await keystead.datasets.reencrypt("crm.person");
  const { label = "" } = (await keystead.keys.show("pii")).versions[0] ?? {};
  await keystead.keys.destroy("pii", 1);
  clock.advance(8 * day);
  expect(await keystead.keys.destroy("pii", 1)).toMatchObject({ status: "destroyed" });

  crm.prepare("update person set email = ? where id = 1").run(String(backup?.["email"]));

  const census = await keystead.datasets.takeCensus("crm.person");
  expect(census.columns[0]?.versions).toEqual([{ key: "pii", version: label, count: 1, standing: "destroyed" }]);
  expect((await keystead.doctor.examine()).filter(({ check }) => check === "datasets")).toEqual([
    {
      check: "datasets",
      status: "failed",
      message: expect.stringContaining(`1 values of versions that were destroyed (pii:${label})`) as string,
    },
  ]);
  const { state, progress } = await keystead.datasets.reencrypt("crm.person");
  expect({ state, problems: progress.firstProblems }).toMatchObject({ state: "done", problems: [{ code: "KEY_STATE", row: { id: "1" } }] });
  crm.close();
});
