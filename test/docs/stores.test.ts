import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { createTestDatabase } from "../support/postgres-database.ts";
import { testMasterKeys } from "../support/test-keystead.ts";

it("docs/stores/postgresql.md: the user that its SQL makes may do all that a store needs", async () => {
  const [sql = ""] = [...readFileSync("docs/stores/postgresql.md", "utf8").matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(
    ([, block]) => block ?? "",
  );
  const database = await createTestDatabase();
  onTestFinished(async () => {
    await database.query("drop schema keystead cascade; drop role keystead");
    await database.dispose();
  });
  await database.query(sql);
  const url = new URL(database.url);
  url.username = "keystead";
  const keystead = await initKeystead({ store: url.href, masterKeys: testMasterKeys });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.rotate("pii");
  expect((await keystead.doctor.examine()).filter(({ status }) => status !== "good")).toEqual([]);
  await keystead.close();
});
