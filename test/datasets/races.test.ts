import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import { TestClock } from "../support/test-clock.ts";
import { type Crm, createCrm, personDataset, readColumn, readExactly } from "./support/crm.ts";

/**
 * A clock that lets something happen when it is looked at. An engine looks at it for every value that it seals or opens, between
 * reading a row and replacing it.
 */
class BusyClock extends TestClock {
  #looks = 0;
  #act: (() => void) | undefined;

  /** Lets `act` happen at the twentieth look from now: refreshing keys beside the job takes some of them. */
  arm(act: () => void): void {
    this.#looks = 0;
    this.#act = act;
  }

  override now(): number {
    this.#looks += 1;
    if (this.#looks === 20) this.#act?.();
    return super.now();
  }
}

const rows = 600;
/** On the second page. */
const target = 555;

const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
const schema =
  "CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT COLLATE NOCASE, name TEXT COLLATE NOCASE, income, name_sx TEXT COLLATE NOCASE)";

/** Runs a job, and `change` before the page with the target is written and after it was read. Returns the passes it took. */
async function raceWith(
  { keystead }: Crm,
  clock: BusyClock,
  job: "protect" | "reencrypt" | "unprotect" | "index",
  change: () => void,
): Promise<number> {
  const { state, progress } = await keystead.datasets[job]("crm.person", {
    onProgress: ({ pass, scanned }) => {
      if (pass === 1 && scanned === 500) clock.arm(change);
    },
  });
  expect({ state, changed: progress.changed }).toEqual({ state: "done", changed: 0 });
  return progress.pass;
}

async function createRace(): Promise<{ crm: Crm; clock: BusyClock }> {
  const clock = new BusyClock();
  const crm = await createCrm(schema, { clock });
  const insert = crm.database.prepare("INSERT INTO person VALUES (?, 'acme', ?, ?, NULL)");
  crm.database.exec("BEGIN");
  for (let id = 1; id <= rows; id += 1) insert.run(id, `${canaries.name.text} ${String(id)}`, 0.0);
  crm.database.exec("COMMIT");
  const context = { tenant: "{tenant}", row: "{id}" };
  await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }, { context, indexes: { sound } }));
  return { crm, clock };
}

/** What happens to the row between reading and replacing. */
const changes: readonly { what: string; sql: string }[] = [
  { what: "another value", sql: `UPDATE person SET name = 'another' WHERE id = ${String(target)}` },
  {
    what: "letter case alone, under NOCASE",
    sql: `UPDATE person SET name = upper('${canaries.name.text} 555') WHERE id = ${String(target)}`,
  },
  { what: "the type alone", sql: `UPDATE person SET income = 0 WHERE id = ${String(target)}` },
  { what: "the sign of zero", sql: `UPDATE person SET income = -0.0 WHERE id = ${String(target)}` },
  { what: "to NULL", sql: `UPDATE person SET name = NULL WHERE id = ${String(target)}` },
  { what: "the context", sql: `UPDATE person SET tenant = 'other' WHERE id = ${String(target)}` },
  { what: "letter case of the context, under NOCASE", sql: `UPDATE person SET tenant = 'ACME' WHERE id = ${String(target)}` },
  { what: "the key", sql: `UPDATE person SET id = 9999 WHERE id = ${String(target)}` },
  { what: "by deletion", sql: `DELETE FROM person WHERE id = ${String(target)}` },
  {
    what: "by deletion and another row of the same key",
    sql: `INSERT OR REPLACE INTO person VALUES (${String(target)}, 'acme', 'somebody else', 7, NULL)`,
  },
];

function change(database: DatabaseSync, sql: string): void {
  database.exec(sql);
}

describe("a row that the application changes between reading and replacing", () => {
  it.each(changes)("is left to the next pass: $what", async ({ sql }) => {
    const { crm, clock } = await createRace();
    const { keystead, database } = crm;
    database.exec("BEGIN");
    change(database, sql);
    const expected = readExactly(database, "person");
    database.exec("ROLLBACK");
    expect(await raceWith(crm, clock, "protect", () => change(database, sql))).toBe(2);
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(expected);
  });

  it("keeps what it sealed itself during reencrypt, without sealing it again", async () => {
    const { crm, clock } = await createRace();
    const { keystead, database } = crm;
    await keystead.datasets.protect("crm.person");
    await keystead.keys.rotate("pii");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const sealed = key.encryptValue("sealed by the application", { tenant: "acme", row: String(target), column: "name" });
    const update = database.prepare("UPDATE person SET name = ? WHERE id = ?");
    expect(await raceWith(crm, clock, "reencrypt", () => update.run(sealed, target))).toBe(2);
    expect(readColumn(database, "name").get(String(target))).toBe(sealed);
    await key.close();
  });

  it("keeps its token when it brings a value with its token", async () => {
    const { crm, clock } = await createRace();
    const { keystead, database } = crm;
    await keystead.datasets.protect("crm.person");
    const brought = readColumn(database, "name_sx").get("1");
    await keystead.keys.rotate("pii");
    const update = database.prepare("UPDATE person SET name = 'Robert', name_sx = ? WHERE id = ?");
    await raceWith(crm, clock, "reencrypt", () => update.run("1.token", target));
    expect(readColumn(database, "name_sx").get(String(target))).toBe("1.token");
    expect(readColumn(database, "name_sx").get("1")).toBe(brought);
    await keystead.datasets.protect("crm.person");
    expect(await keystead.datasets.find("crm.person", "sound", ["Rupert"])).toMatchObject({
      rows: [{ row: { id: String(target) } }],
      complete: true,
    });
  });

  it("gets the token of its new value, not of the one that was read", async () => {
    const { crm, clock } = await createRace();
    const { keystead, database } = crm;
    await keystead.datasets.protect("crm.person");
    database.exec("UPDATE person SET name_sx = NULL");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const sealed = key.encryptValue("Robert", { tenant: "acme", row: String(target), column: "name" });
    const update = database.prepare("UPDATE person SET name = ? WHERE id = ?");
    expect(await raceWith(crm, clock, "index", () => update.run(sealed, target))).toBe(2);
    expect(await keystead.datasets.find("crm.person", "sound", ["Rupert"])).toMatchObject({
      rows: [{ row: { id: String(target) } }],
      complete: true,
    });
    await key.close();
  });

  it("keeps plaintext that it writes during unprotect", async () => {
    const { crm, clock } = await createRace();
    const { keystead, database } = crm;
    await keystead.datasets.protect("crm.person");
    expect(
      await raceWith(crm, clock, "unprotect", () => change(database, `UPDATE person SET income = 12 WHERE id = ${String(target)}`)),
    ).toBe(2);
    expect(readColumn(database, "income").get(String(target))).toBe(12n);
    expect(readColumn(database, "name").get(String(target))).toBe(`${canaries.name.text} ${String(target)}`);
  });
});
