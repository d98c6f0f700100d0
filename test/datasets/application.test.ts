import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { isKeysteadError, type JobProgress, type JobResult, type Keystead, type KeyHandle } from "../../src/index.ts";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { type Child, startChild } from "../support/child.ts";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { openDatabase, personDataset, queryNumber } from "./support/crm.ts";
import { runKilled, shareCompileCache } from "./support/killed-job.ts";

const program = new URL("support/application-process.ts", import.meta.url);
const rows = 1500;
const kills = 5;
/** Some processes, one after the other, on a machine that does other things as well. */
const timeout = 120_000;

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
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT COLLATE NOCASE, city TEXT COLLATE NOCASE, name TEXT);
    CREATE TABLE truth (id INTEGER PRIMARY KEY, tenant TEXT, city TEXT, name TEXT);
    BEGIN`);
  const insert = database.prepare("INSERT INTO person VALUES (?, 'first', ?, ?)");
  for (let id = 0; id < rows; id += 1) insert.run(id, `city ${String(id)}`, `${canaries.name.text} of ${String(id)}`);
  database.exec("INSERT INTO truth SELECT * FROM person; COMMIT");
  mkdirSync(join(folder, "store"));
  const options = { ...fileStore(join(folder, "store")), databases: { crm: `sqlite:${path}` } };
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 100 } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  const context = { tenant: "{tenant}", row: "{id}" };
  await keystead.datasets.add("crm.person", personDataset({ city: "pii", name: "pii" }, { context }));
  return { store: options.store, path, database, keystead };
}

/** Runs `work` while the application changes rows, and for as long as it needs to change some hundreds. */
async function whileChanging(application: Child, work: () => Promise<void>): Promise<void> {
  expect(await application.nextLine()).toBe("100");
  await work();
  expect(await application.nextLine()).toMatch(/00$/);
  application.process.stdin?.write("stop\n");
  const lines = await application.finish();
  expect(Number(lines.at(-1) ?? 300)).toBeGreaterThan(200);
}

/** What a row says when it is opened; undefined when it does not open. */
function openRow(key: KeyHandle, column: string, row: Record<string, unknown>): unknown {
  try {
    return key.decryptValue(String(row[column]), { tenant: String(row["tenant"]), row: String(row["id"]), column });
  } catch (error) {
    if (isKeysteadError(error, "DECRYPTION_FAILED")) return undefined;
    throw error;
  }
}

/** Every row says what the application wrote last, or the job reported it. */
async function expectTruth({ database, keystead }: Place, { progress }: JobResult): Promise<void> {
  await keystead.refresh();
  const key = await keystead.open("pii");
  const reported = new Set(progress.firstProblems.map(({ row, column, code }) => `${row["id"] ?? ""} ${column} ${code}`));
  const all = database
    .prepare("SELECT person.*, truth.tenant AS t, truth.city AS c, truth.name AS n FROM person FULL JOIN truth USING (id)")
    .all();
  const closed: string[] = [];
  for (const row of all) {
    expect(row["tenant"], String(row["id"])).toBe(row["t"]);
    for (const [column, truth] of [
      ["city", row["c"]],
      ["name", row["n"]],
    ] as const) {
      const text = openRow(key, column, row);
      if (text === undefined) closed.push(`${String(row["id"])} ${column} DECRYPTION_FAILED`);
      else expect(text, `${String(row["id"])} ${column}`).toBe(truth);
    }
  }
  expect(progress.problems).toBe(closed.length);
  if (closed.length <= 100) expect(reported).toEqual(new Set(closed));
  else for (const problem of reported) expect(closed).toContain(problem);
  await key.close();
}

/** Records what each update replaced, in which column, and by what. */
function logReplacements(database: DatabaseSync): void {
  const inserts = ["city", "name"].map(
    (column) => `INSERT INTO replaced SELECT old.id, '${column}', old.tenant, old.${column}, new.${column}
      WHERE old.${column} IS NOT new.${column} COLLATE BINARY AND old.tenant IS new.tenant;`,
  );
  database.exec(`
    CREATE TABLE replaced (id, "column", tenant, old, new);
    CREATE TRIGGER log_replacements AFTER UPDATE ON person BEGIN ${inserts.join("\n")} END`);
}

/**
 * How often a value was replaced by another ciphertext of what it says: from plaintext or an older version, or again from the
 * version that the job moves to. The application never writes the text that was there.
 */
async function countReplacements({ database, keystead }: Place, label: string): Promise<{ first: number; again: string[] }> {
  const key = await keystead.open("pii");
  const again: string[] = [];
  let first = 0;
  for (const { id, column, tenant, old, new: next } of database.prepare("SELECT * FROM replaced").all()) {
    const place = { id, tenant };
    const open = (value: unknown): unknown =>
      String(value).startsWith("ks1:") ? openRow(key, String(column), { ...place, [String(column)]: value }) : value;
    const text = open(next);
    if (!String(next).startsWith("ks1:") || text === undefined || text !== open(old)) continue;
    if (String(old).startsWith(`ks1:pii:${label}:`)) again.push(`${String(id)} ${String(column)}`);
    else first += 1;
  }
  await key.close();
  return { first, again };
}

/** Kills a job while the application works, then runs it to its end; looks at every row and every replacement. */
async function expectTruthAfterKills(place: Place, kind: "protect" | "reencrypt", version: number): Promise<void> {
  const { keystead, database, path, store } = place;
  logReplacements(database);
  // It rests, so that it leaves rows for the job.
  const application = startChild(program, [path, "40", ...(kind === "protect" ? [] : [store])]);
  expect(await application.nextLine()).toBe("100");
  const { killedAt, end } = await runKilled({
    ...{ store, path, kind, rows, rowsPerPage: 50, kills },
    beforeEnd: async () => {
      application.process.stdin?.write("stop\n");
      const lines = await application.finish();
      expect(Number(lines.at(-1))).toBeGreaterThan(200);
    },
  });
  expect(killedAt).toHaveLength(kills);
  expect(end).toMatch(/^done /);
  await expectTruth(place, await keystead.datasets.verify("crm.person"));
  const label = (await keystead.keys.show("pii")).versions[version - 1]?.label ?? "";
  const { first, again } = await countReplacements(place, label);
  expect(first).toBeGreaterThan(rows / 10);
  expect(again, `killed at ${killedAt.join()}`).toEqual([]);
  expect((await keystead.audit.verify()).findings).toEqual([]);
  await keystead.close();
}

describe("while the application changes rows all the time", () => {
  it("protect keeps its plaintext updates, changes of letter case, inserts, deletes and moves", async () => {
    const place = await createPlace();
    const { keystead, database, path } = place;
    let changed = 0;
    const controller = new AbortController();
    const onProgress = (progress: JobProgress): void => {
      changed += progress.changed;
      // The application never stops writing plaintext, so the job would not come to its end.
      if (progress.pass === 4) controller.abort();
    };
    await whileChanging(startChild(program, [path, "0"]), async () => {
      const during = await keystead.datasets.protect("crm.person", { onProgress, signal: controller.signal });
      expect(["done", "paused"]).toContain(during.state);
    });
    expect(changed).toBeGreaterThan(0);
    const after = await keystead.datasets.protect("crm.person");
    expect(after.state).toBe("done");
    expect(after.census?.columns.map(({ plaintext }) => plaintext)).toEqual([0, 0]);
    await expectTruth(place, after);
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE id > 1000000")).toBeGreaterThan(10);
    await keystead.close();
  });

  it("reencrypt keeps what it seals itself, for the same context and for another one", async () => {
    const place = await createPlace();
    const { keystead, path, store } = place;
    await keystead.datasets.protect("crm.person");
    await whileChanging(startChild(program, [path, "0", store]), async () => {
      await keystead.keys.rotate("pii");
      const during = await keystead.datasets.reencrypt("crm.person");
      expect(during.state).toBe("done");
    });
    const after = await keystead.datasets.verify("crm.person");
    await expectTruth(place, after);
    const label = (await keystead.keys.show("pii")).versions[1]?.label ?? "";
    const census = new Map((await keystead.datasets.census("pii")).map(({ version, count }) => [version, count]));
    const total = 2 * queryNumber(place.database, "SELECT count(*) FROM person");
    expect(total - (census.get(label) ?? 0)).toBeLessThanOrEqual(after.progress.problems);
    await keystead.close();
  });
});

describe("while the application changes rows all the time and the job is killed by SIGKILL at random moments", { timeout }, () => {
  it("protect loses no update and replaces no value twice", async () => {
    await expectTruthAfterKills(await createPlace(), "protect", 1);
  });

  it("reencrypt loses no update and replaces no value twice", async () => {
    const place = await createPlace();
    await place.keystead.datasets.protect("crm.person");
    await place.keystead.keys.rotate("pii");
    await expectTruthAfterKills(place, "reencrypt", 2);
  });
});
