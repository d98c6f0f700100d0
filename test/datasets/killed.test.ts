import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Keystead } from "../../src/index.ts";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { startChild } from "../support/child.ts";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { logUpdates, openDatabase, personDataset, queryNumber, takeUpdates } from "./support/crm.ts";
import { jobProgram, runKilled, shareCompileCache } from "./support/killed-job.ts";

const rows = 600;
const rowsPerPage = 20;
const kills = 30;
/** Thirty processes, one after the other, on a machine that does other things as well. */
const timeout = 240_000;

shareCompileCache();

interface Place {
  readonly store: string;
  readonly path: string;
  readonly database: DatabaseSync;
  readonly keystead: Keystead;
}

async function createPlace(): Promise<Place> {
  const folder = temporaryFolder();
  const path = join(folder, "crm.db");
  const database = openDatabase(path);
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, income INTEGER, name_sx TEXT); BEGIN");
  const insert = database.prepare("INSERT INTO person (id, name, income) VALUES (?, ?, ?)");
  for (let id = 1; id <= rows; id += 1) insert.run(id * 3, nameOf(id * 3), id % 10 === 0 ? null : id);
  database.exec("COMMIT");
  logUpdates(database);
  mkdirSync(join(folder, "store"));
  const options = { ...fileStore(join(folder, "store")), databases: { crm: `sqlite:${path}` } };
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 50 } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.create({ name: "fin", purpose: "financial", algorithm: "AES-256-GCM" });
  await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
  await keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }, { indexes: { sound } }));
  return { store: options.store, path, database, keystead };
}

function nameOf(id: number): string {
  return `${canaries.name.text} ${String(id)}`;
}

/** Every row opens to its value, and what the census counts is what opens. */
async function expectEverything({ database, keystead }: Place, version: number): Promise<void> {
  await keystead.refresh();
  const pii = await keystead.open("pii");
  const fin = await keystead.open("fin");
  const labels = { pii: pii.labels[version - 1] ?? "", fin: fin.labels[version - 1] ?? "" };
  for (const { id, name, income } of database.prepare("SELECT id, name, income FROM person").all()) {
    const context = { dataset: "crm.person", "row.id": String(id) };
    expect(String(name)).toContain(`ks1:pii:${labels.pii}:`);
    expect(pii.decryptValue(String(name), { ...context, column: "name" })).toBe(nameOf(Number(id)));
    const number = Number(id) / 3;
    if (number % 10 === 0) expect(income).toBeNull();
    else {
      expect(String(income)).toContain(`ks1:fin:${labels.fin}:`);
      expect(fin.decryptValue(String(income), { ...context, column: "income" })).toBe(BigInt(number));
    }
  }
  await pii.close();
  await fin.close();
  const counts = async (key: string): Promise<Map<string, number>> =>
    new Map((await keystead.datasets.census(key)).map(({ version: label, count }) => [label, count]));
  expect((await counts("pii")).get(labels.pii)).toBe(rows);
  expect((await counts("fin")).get(labels.fin)).toBe(queryNumber(database, "SELECT count(income) FROM person"));
  const census = await keystead.datasets.takeCensus("crm.person");
  expect(census.columns.map(({ plaintext, versions }) => [plaintext, versions.length])).toEqual([
    [0, 1],
    [0, 1],
  ]);
  expect(census.indexes).toMatchObject([{ generations: { "1": rows }, none: 0, malformed: 0 }]);
}

/** Kills a job again and again, then looks at every row. */
async function expectNothingLost(place: Place, kind: "protect" | "reencrypt", version: number): Promise<void> {
  const { killedAt, end } = await runKilled({ ...place, kind, rows, rowsPerPage, kills });
  expect(end).toMatch(/^done \d+ 0$/);
  const updates = takeUpdates(place.database);
  expect(updates.size).toBe(rows);
  expect(
    [...updates].filter(([, times]) => times !== 1),
    `killed at ${killedAt.join()}`,
  ).toEqual([]);
  await expectEverything(place, version);
  const found = await place.keystead.datasets.find("crm.person", "sound", [nameOf(3)]);
  expect({ rows: found.rows.length, complete: found.complete }).toEqual({ rows, complete: true });
  expect((await place.keystead.audit.verify()).findings).toEqual([]);
  await place.keystead.close();
}

describe("a job killed by SIGKILL at 30 random moments and run again at once loses nothing and replaces no row twice:", () => {
  it("protect", { timeout }, async () => {
    await expectNothingLost(await createPlace(), "protect", 1);
  });

  it("reencrypt", { timeout }, async () => {
    const place = await createPlace();
    await place.keystead.datasets.protect("crm.person");
    takeUpdates(place.database);
    await place.keystead.keys.rotate("pii");
    await place.keystead.keys.rotate("fin");
    await expectNothingLost(place, "reencrypt", 2);
  });
});

describe("two processes", () => {
  it("don't undo each other's work: another job is refused while the first lives, and the same goes on at once when it was killed", async () => {
    const place = await createPlace();
    const first = startChild(jobProgram, [place.store, place.path, "protect", "1"]);
    first.process.stdin?.write("go\n");
    expect(await first.nextLine()).toBe("begun");
    expect(await first.nextLine()).toBe("1");
    await expect(place.keystead.datasets.verify("crm.person")).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(place.keystead.datasets.reencrypt("crm.person")).rejects.toThrow("a protect job works on dataset crm.person");
    await first.kill();
    const { state, progress } = await place.keystead.datasets.protect("crm.person");
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 0 });
    expect([...takeUpdates(place.database).values()].every((times) => times === 1)).toBe(true);
    await place.keystead.close();
  });
});
