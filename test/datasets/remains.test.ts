import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import { createCrm, openDatabase, personDataset, queryNumber } from "./support/crm.ts";

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT); CREATE INDEX by_email ON person (email)";

it.each(["delete", "wal"])("protect says where SQLite still has plaintext, and what takes it away, in journal mode %s", async (mode) => {
  const { keystead, database, path } = await createCrm(`PRAGMA journal_mode = ${mode}; PRAGMA secure_delete = OFF; ${schema}`);
  for (let id = 1; id <= 300; id += 1) database.prepare("INSERT INTO person VALUES (?, ?)").run(id, `${canaries.email.text}${String(id)}`);
  await keystead.datasets.add("crm.person", personDataset({ email: "pii" }));
  const { remains = [] } = await keystead.datasets.protect("crm.person");
  expect(remains[0]).toMatch(/^free pages .* indexes "by_email" included: VACUUM/);
  expect(remains[1]).toContain(mode === "wal" ? "wal_checkpoint(TRUNCATE)" : "-journal");
  const keepsPlaintext = (): boolean =>
    [path, `${path}-wal`, `${path}-journal`].some((file) => existsSync(file) && readFileSync(file).includes(canaries.email.text));
  expect(keepsPlaintext()).toBe(true);
  const other = openDatabase(path);
  other.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  expect(keepsPlaintext()).toBe(false);
  expect(queryNumber(other, "SELECT count(*) FROM person WHERE email LIKE 'ks1:%'")).toBe(300);
});

it("is silent where nothing was replaced", async () => {
  const { keystead, database } = await createCrm(schema);
  await keystead.datasets.add("crm.person", personDataset({ email: "pii" }));
  expect(await keystead.datasets.protect("crm.person")).not.toHaveProperty("remains");
  database.exec("INSERT INTO person VALUES (1, 'anna@example.org')");
  expect(await keystead.datasets.protect("crm.person", { dryRun: true })).not.toHaveProperty("remains");
  expect(await keystead.datasets.protect("crm.person")).toHaveProperty("remains");
});
