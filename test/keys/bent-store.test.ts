import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

/** What a person with write access to the file might try, and what the refusal names. */
const bends: readonly (readonly [what: string, sql: string, named: RegExp])[] = [
  ["promotes a suspended version", "UPDATE versions SET state = 'active' WHERE state = 'suspended'", /versions/],
  ["moves a pointer back", "UPDATE keys SET current_version = 1 WHERE name = 'k'", /keys/],
  ["takes an expiry away", "UPDATE versions SET expires_at = NULL WHERE expires_at IS NOT NULL", /versions/],
  ["points a route elsewhere", "UPDATE routes SET kek_uri = 'local:mine'", /routes/],
  ["widens a purpose", "UPDATE purposes SET algorithms = '', hardware = 0 WHERE name = 'medical'", /purposes/],
  ["moves a dataset", "UPDATE datasets SET definition = replace(definition, 'person', 'nobody')", /datasets/],
  ["drops a dataset from the census", "DELETE FROM datasets", /datasets/],
  ["forgets a census", "DELETE FROM censuses", /censuses/],
  ["forgets a version", "DELETE FROM versions WHERE version = 1", /versions/],
  ["shortens the waiting time", "UPDATE settings SET value = '1' WHERE name = 'backupRetentionDays'", /settings/],
  ["lowers a seal count", "UPDATE counters SET seals = 0", /counters/],
  [
    "lets a job begin at its end",
    "UPDATE jobs SET state = 'paused', progress = replace(progress, '\"scanned\":1', '\"scanned\":9')",
    /jobs/,
  ],
  ["forgets a job", "DELETE FROM jobs", /jobs/],
  ["forgets what was sealed", "DELETE FROM counters", /counters/],
  [
    "swaps the wraps of two keys",
    "UPDATE wraps SET wrapped = (SELECT w.wrapped FROM wraps w WHERE w.subject NOT IN ('store', wraps.subject) LIMIT 1) WHERE subject <> 'store'",
    /wraps/,
  ],
  [
    "copies sealed material to another version",
    "UPDATE versions SET material = (SELECT v.material FROM versions v WHERE v.rowid <> versions.rowid LIMIT 1)",
    /versions/,
  ],
  ["lowers the generation", "UPDATE manifest SET generation = generation - 1", /manifest/],
];

async function makeStore(folder: string): Promise<void> {
  const database = new DatabaseSync(join(folder, "crm.db"));
  database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO person VALUES (1, 'x')");
  database.close();
  const options = { ...fileStore(folder), databases: { crm: `sqlite:${join(folder, "crm.db")}` } };
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 20, backupRetentionDays: 30 } });
  await keystead.purposes.set("medical", { algorithms: ["AES-256-GCM-KC"] });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.keys.rotate("k", { expiresAt: new Date("2099-01-01") });
  await keystead.keys.suspend("k", 1);
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: "k" } } });
  await keystead.datasets.protect("crm.person");
  await keystead.close();
}

describe("a store that was changed by hand", () => {
  it.each(bends)("is refused at start-up when somebody %s", async (_, sql, named) => {
    const folder = temporaryFolder();
    await makeStore(folder);
    const database = new DatabaseSync(join(folder, "keystead.db"));
    const { changes } = database.prepare(sql).run();
    database.close();
    expect(Number(changes)).toBeGreaterThan(0);
    const refusal = openTestKeystead(fileStore(folder));
    await expect(refusal).rejects.toMatchObject({ code: "STORE_TAMPERED" });
    await expect(refusal).rejects.toThrow(named);
  });

  it("is refused when an old row is put back with its valid MAC", async () => {
    const folder = temporaryFolder();
    await makeStore(folder);
    const file = join(folder, "keystead.db");
    const old = new DatabaseSync(file);
    const row = old.prepare("SELECT * FROM keys WHERE name = 'k'").get() ?? {};
    old.close();
    const keystead = await openTestKeystead(fileStore(folder));
    await keystead.keys.rotate("k");
    await keystead.close();
    const database = new DatabaseSync(file);
    const columns = Object.keys(row);
    database
      .prepare(`UPDATE keys SET ${columns.map((column) => `"${column}" = ?`).join(", ")} WHERE name = 'k'`)
      .run(...Object.values(row));
    database.close();
    await expect(openTestKeystead(fileStore(folder))).rejects.toThrow(/keys/);
  });

  it("is refused when an old seal count is put back with its valid MAC", async () => {
    const folder = temporaryFolder();
    await makeStore(folder);
    const sealOnce = async (): Promise<Record<string, SQLOutputValue>> => {
      const keystead = await openTestKeystead(fileStore(folder));
      await keystead.encrypt("k", "x");
      await keystead.close();
      using database = new DatabaseSync(join(folder, "keystead.db"));
      return database.prepare("SELECT * FROM counters WHERE version = 2 AND dataset_id = ''").get() ?? {};
    };
    const [before, after] = [await sealOnce(), await sealOnce()];
    expect([before["seals"], after["seals"]]).toEqual([1, 2]);
    const database = new DatabaseSync(join(folder, "keystead.db"));
    const columns = Object.keys(before).map((column) => `"${column}" = ?`);
    database.prepare(`UPDATE counters SET ${columns.join(", ")} WHERE version = 2 AND dataset_id = ''`).run(...Object.values(before));
    database.close();
    await expect(openTestKeystead(fileStore(folder))).rejects.toThrow(/counters: a row was replayed/);
  });

  it("is found on load in a running process", async () => {
    const folder = temporaryFolder();
    await makeStore(folder);
    const keystead = await openTestKeystead(fileStore(folder));
    const database = new DatabaseSync(join(folder, "keystead.db"));
    database.exec("UPDATE versions SET state = 'active' WHERE state = 'suspended'");
    database.close();
    expect(await codeOf(keystead.keys.show("k"))).toBe("STORE_TAMPERED");
    const findings = await keystead.doctor.examine();
    expect(findings.filter((finding) => finding.check === "metadata").map((finding) => finding.status)).toEqual(["failed"]);
  });
});
