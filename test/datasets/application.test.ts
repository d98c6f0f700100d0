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

const program = new URL("support/application-process.ts", import.meta.url);
const rows = 1500;

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
    await whileChanging(startChild(program, [path]), async () => {
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
    await whileChanging(startChild(program, [path, store]), async () => {
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
