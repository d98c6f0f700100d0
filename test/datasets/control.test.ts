import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { JobOptions, JobProgress } from "../../src/index.ts";
import { initKeystead } from "../../src/keystead.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, openTestKeystead } from "../support/test-keystead.ts";
import {
  type Crm,
  createCrm,
  dataVersion,
  logUpdates,
  openDatabase,
  personDataset,
  problemsOf,
  queryNumber,
  readColumn,
  readExactly,
  takeUpdates,
} from "./support/crm.ts";

async function createPersons(rows: number, options: Parameters<typeof createCrm>[1] = {}): Promise<Crm> {
  const crm = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name, income)", options);
  const insert = crm.database.prepare("INSERT INTO person VALUES (?, ?, ?)");
  crm.database.exec("BEGIN");
  for (let id = 1; id <= rows; id += 1) insert.run(id, `name ${String(id)}`, id);
  crm.database.exec("COMMIT");
  await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }));
  return crm;
}

/** Options that pause a job once it has read so many rows, and what it said after each page. */
function pauseAt(rows: number): { options: JobOptions; pages: JobProgress[] } {
  const controller = new AbortController();
  const pages: JobProgress[] = [];
  const onProgress = (progress: JobProgress): void => {
    pages.push(progress);
    if (progress.scanned >= rows) controller.abort();
  };
  return { options: { signal: controller.signal, onProgress }, pages };
}

describe("pausing", () => {
  it("ends after the page at hand; the next run goes on from there", async () => {
    const { keystead, database } = await createPersons(1300);
    logUpdates(database);
    const paused = await keystead.datasets.protect("crm.person", pauseAt(500).options);
    expect(paused).toMatchObject({ state: "paused", progress: { scanned: 500, replaced: 500 } });
    expect(paused.census).toBeUndefined();
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(500);
    const pages: number[] = [];
    const done = await keystead.datasets.protect("crm.person", { onProgress: ({ scanned }) => pages.push(scanned) });
    expect(pages).toEqual([1000, 1300]);
    expect(done).toMatchObject({ id: paused.id, state: "done", progress: { pass: 1, scanned: 1300, replaced: 1300, values: 2600 } });
    expect([...takeUpdates(database).values()].every((times) => times === 1)).toBe(true);
  });

  it("works before the first page, and while the census counts", async () => {
    const { keystead } = await createPersons(600);
    expect(await keystead.datasets.protect("crm.person", { signal: AbortSignal.abort() })).toMatchObject({
      state: "paused",
      progress: { scanned: 0 },
    });
    expect(await keystead.datasets.protect("crm.person", pauseAt(600).options)).toMatchObject({
      state: "paused",
      progress: { replaced: 600 },
    });
    expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { scanned: 600, replaced: 600 } });
  });

  it("is forgotten when the table was made anew since: the pass begins again", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER, part TEXT, name, PRIMARY KEY (id, part))");
    const rows =
      "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 700) INSERT INTO person SELECT i, 'a', 'plain ' || i FROM n";
    database.exec(rows);
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { keyColumns: ["id", "part"] }));
    await keystead.datasets.protect("crm.person", pauseAt(500).options);
    database.exec(`DROP TABLE person; CREATE TABLE person (id INTEGER, part TEXT, name, PRIMARY KEY (id, part)) WITHOUT ROWID; ${rows}`);
    const { state, progress } = await keystead.datasets.protect("crm.person");
    expect({ state, scanned: progress.scanned, pass: progress.pass }).toEqual({ state: "done", scanned: 700, pass: 1 });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(700);
  });

  it("of one kind is not gone on with by another kind", async () => {
    const { keystead } = await createPersons(600);
    await keystead.datasets.protect("crm.person", pauseAt(500).options);
    expect((await keystead.datasets.verify("crm.person")).progress.scanned).toBe(600);
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ scanned: 600, replaced: 600 });
  });
});

describe("a machine that sleeps", () => {
  it("wakes up to a job that goes on", async () => {
    const { keystead, clock } = await createPersons(1600);
    const { state, progress } = await keystead.datasets.protect("crm.person", { onProgress: () => clock.jump(3_600_000) });
    expect({ state, replaced: progress.replaced }).toEqual({ state: "done", replaced: 1600 });
  });
});

describe("a census that takes long", () => {
  it("does not lose the job its lease", async () => {
    const clock = new TestClock();
    const { keystead, folder, path } = await createPersons(8000, { clock });
    await keystead.close();
    const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
    const made = await initKeystead(options);
    await made.keys.create({ name: "pii", purpose: "pii" });
    await made.datasets.add("crm.person", personDataset({ name: "pii" }));
    const store = openDatabase(join(folder, "keystead.db"));
    const ends = new Set<number>();
    let counting = false;
    const look = (): void => {
      if (!counting) return;
      const [job] = store.prepare("SELECT lease_until AS ends FROM jobs WHERE state = 'running'").all();
      if (job !== undefined) ends.add(Number(job["ends"]) - clock.now());
      clock.advance(10_000);
      vi.advanceTimersByTime(10_000);
      setImmediate(look);
    };
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      await made.datasets.verify("crm.person", {
        onProgress: ({ scanned }) => {
          counting = scanned === 8000;
          if (counting) setImmediate(look);
        },
      });
    } finally {
      counting = false;
      vi.useRealTimers();
    }
    expect(ends.size).toBeGreaterThan(0);
    expect(Math.min(...ends)).toBeGreaterThan(0);
    await made.close();
  });
});

describe("throttling", () => {
  it("keeps to the rows a second", async () => {
    const { keystead, clock } = await createPersons(1000);
    const begin = clock.monotonic();
    await keystead.datasets.protect("crm.person", { rowsPerSecond: 100 });
    expect((clock.monotonic() - begin) / 1000).toBeCloseTo(9, 5);
  });

  it("never waits for longer than the lease of the job lasts", async () => {
    const clock = new TestClock();
    const crm = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)", { clock });
    crm.database.exec("WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 45) INSERT INTO person SELECT i, 'x' FROM n");
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` }, clock };
    const first = await initKeystead(options);
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.datasets.add("crm.person", personDataset({ name: "pii" }));
    const second = await openTestKeystead(options);
    const attempts: Promise<string>[] = [];
    await first.datasets.protect("crm.person", {
      rowsPerSecond: 1,
      onProgress: () => attempts.push(codeOf(second.datasets.protect("crm.person"))),
    });
    const codes = await Promise.all(attempts);
    expect(codes).toHaveLength(45);
    // The last ones come when the job has ended.
    expect(codes.slice(0, 40)).toEqual(Array.from({ length: 40 }, () => "CONFLICT"));
    await first.close();
  });

  it.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_001])("refuses %d rows a second", async (rowsPerSecond) => {
    const { keystead } = await createPersons(1);
    expect(await codeOf(keystead.datasets.protect("crm.person", { rowsPerSecond }))).toBe("INVALID_ARGUMENT");
  });
});

describe("a dry run", () => {
  it("says what would be done and changes nothing", async () => {
    const { keystead, database } = await createPersons(700);
    const before = dataVersion(database);
    for (const job of ["protect", "reencrypt", "unprotect", "index"] as const) {
      const { state, progress, census } = await keystead.datasets[job]("crm.person", { dryRun: true });
      expect({ state, census, replaced: progress.replaced }).toEqual({
        state: "done",
        census: undefined,
        replaced: job === "protect" ? 700 : 0,
      });
    }
    expect(dataVersion(database)).toBe(before);
    await keystead.datasets.protect("crm.person");
    const sealed = dataVersion(database);
    await keystead.keys.rotate("fin");
    expect((await keystead.datasets.reencrypt("crm.person", { dryRun: true })).progress).toMatchObject({ replaced: 700, values: 700 });
    expect((await keystead.datasets.recontext("crm.person", { row: "{id}" }, { dryRun: true })).progress).toMatchObject({
      values: 1400,
      problems: 0,
    });
    expect((await keystead.datasets.unprotect("crm.person", { dryRun: true })).progress).toMatchObject({ values: 1400 });
    expect(dataVersion(database)).toBe(sealed);
    expect((await keystead.datasets.show("crm.person")).nextContext).toBeUndefined();
  });

  it("leaves nothing behind that a real run would go on with", async () => {
    const { keystead, database } = await createPersons(1000);
    expect(await keystead.datasets.protect("crm.person", { ...pauseAt(500).options, dryRun: true })).toMatchObject({ state: "paused" });
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ pass: 1, scanned: 1000, replaced: 1000 });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name NOT LIKE 'ks1:%'")).toBe(0);
  });
});

describe("problems", () => {
  it("are all counted, and the first 100 kept", async () => {
    const { keystead, database } = await createPersons(600);
    database.exec("UPDATE person SET name = CAST(x'c328' AS TEXT) WHERE id % 4 = 0");
    const { state, progress, census } = await keystead.datasets.protect("crm.person");
    expect(state).toBe("done");
    expect(progress.problems).toBe(150);
    expect(progress.firstProblems).toHaveLength(100);
    expect(progress.firstProblems[99]).toMatchObject({ row: { id: "400" }, column: "name", code: "INVALID_ARGUMENT" });
    expect(census?.columns).toMatchObject([
      { column: "name", plaintext: 150 },
      { column: "income", plaintext: 0 },
    ]);
  });

  it("are rows that the database refuses: a constraint, a trigger", async () => {
    const { keystead, database } = await createPersons(600);
    database.exec("CREATE TRIGGER no BEFORE UPDATE ON person WHEN old.id = 7 BEGIN SELECT RAISE(ABORT, 'name 7 may not change'); END");
    const { state, progress, census } = await keystead.datasets.protect("crm.person");
    expect({ state, pass: progress.pass, replaced: progress.replaced, values: progress.values }).toEqual({
      state: "done",
      pass: 2,
      replaced: 599,
      values: 1198,
    });
    expect(progress.firstProblems.map(({ row, column, code }) => [row, column, code])).toEqual([
      [{ id: "7" }, "name", "DATABASE_FAILED"],
      [{ id: "7" }, "income", "DATABASE_FAILED"],
    ]);
    expect(JSON.stringify(progress)).not.toContain("may not change");
    expect(census?.columns.map(({ plaintext }) => plaintext)).toEqual([1, 1]);
    expect(readColumn(database, "name").get("7")).toBe("name 7");
  });
});

describe("a job that fails", () => {
  it("can be run again at once", async () => {
    const { keystead, database } = await createPersons(600);
    await keystead.keys.suspend("fin", 1, { reason: "test" });
    expect(await codeOf(keystead.datasets.protect("crm.person"))).toBe("KEY_STATE");
    await keystead.keys.resume("fin", 1);
    database.exec("ALTER TABLE person RENAME TO elsewhere");
    expect(await codeOf(keystead.datasets.protect("crm.person"))).toBe("DATASET_UNSUITABLE");
    database.exec("ALTER TABLE elsewhere RENAME TO person");
    expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { replaced: 600 } });
  });

  it("by the application's undoing everything can be run again, too", async () => {
    const { keystead, database } = await createPersons(3);
    database.exec(
      "CREATE TRIGGER undo AFTER UPDATE ON person WHEN new.name LIKE 'ks1:%' BEGIN UPDATE person SET name = 'again' WHERE id = new.id; END",
    );
    for (let run = 0; run < 2; run += 1) {
      let passes = 0;
      const job = keystead.datasets.protect("crm.person", { onProgress: () => (passes += 1) });
      await expect(job).rejects.toThrow(/the application keeps writing such rows/);
      expect(await codeOf(job)).toBe("JOB_INCOMPLETE");
      expect(passes).toBe(20);
    }
    database.exec("DROP TRIGGER undo");
    expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done" });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(3);
  });

  it("because another one works on the dataset leaves that alone", async () => {
    const { keystead } = await createPersons(600);
    const [first, second] = await Promise.all([keystead.datasets.protect("crm.person"), codeOf(keystead.datasets.verify("crm.person"))]);
    expect(first).toMatchObject({ state: "done", progress: { replaced: 600 } });
    expect(second).toBe("CONFLICT");
  });

  it("because it stood still while another process took it over does nothing twice", async () => {
    class SleepyClock extends TestClock {
      onWait: (() => Promise<void>) | undefined;

      override async wait(milliseconds: number): Promise<void> {
        const act = this.onWait;
        this.onWait = undefined;
        await act?.();
        return super.wait(milliseconds);
      }
    }
    const clock = new SleepyClock();
    const { keystead, folder, path, database } = await createPersons(600, { clock });
    await keystead.close();
    logUpdates(database);
    const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
    const first = await initKeystead(options);
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.datasets.add("crm.person", personDataset({ name: "pii" }));
    const second = await openTestKeystead(options);
    clock.onWait = async () => {
      clock.advance(31_000);
      expect(await second.datasets.protect("crm.person")).toMatchObject({ state: "done" });
    };
    expect(await codeOf(first.datasets.protect("crm.person", { rowsPerSecond: 100 }))).toBe("CONFLICT");
    const updates = [...takeUpdates(database).values()];
    expect({ rows: updates.length, most: Math.max(...updates) }).toEqual({ rows: 600, most: 1 });
    expect((await first.datasets.protect("crm.person")).progress.replaced).toBe(0);
    await first.close();
  });

  it("has its lease run out when its process can't be asked", async () => {
    const { keystead, folder, path, database, clock } = await createPersons(10);
    await keystead.close();
    const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
    const made = await initKeystead(options);
    await made.keys.create({ name: "pii", purpose: "pii" });
    const { id } = await made.datasets.add("crm.person", personDataset({ name: "pii" }));
    const owner = JSON.stringify({ host: "another host", process: 1, start: "then" });
    const { DatabaseSync } = await import("node:sqlite");
    const store = new DatabaseSync(join(folder, "keystead.db"));
    const columns = store
      .prepare("SELECT name FROM pragma_table_info('jobs')")
      .all()
      .map(({ name }) => String(name));
    const values: Readonly<Record<string, string | number>> = {
      id: "j",
      dataset_id: id,
      kind: "protect",
      state: "running",
      progress: "{}",
      lease_owner: owner,
      lease_until: clock.now() + 30_000,
      created_at: 0,
      updated_at: 0,
      row_version: 1,
      format: 1,
    };
    store
      .prepare(`INSERT INTO jobs (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`)
      .run(...columns.map((name) => values[name] ?? null));
    store.close();
    expect(await codeOf(made.datasets.protect("crm.person"))).toBe("CONFLICT");
    clock.advance(30_000);
    expect(await made.datasets.protect("crm.person")).toMatchObject({ id: "j", state: "done" });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(10);
    await made.close();
  });
});

describe("recontext", () => {
  it("refuses a template that does not fit the table, and stores nothing of it", async () => {
    const { keystead } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    for (const [template, code] of [
      [{ row: "{nothing}" }, "DATASET_UNSUITABLE"],
      [{ row: "{name}" }, "DATASET_UNSUITABLE"],
      [{ row: "{id" }, "INVALID_ARGUMENT"],
      [{ row: "{id}{id}" }, "INVALID_ARGUMENT"],
      [{ column: "x" }, "INVALID_ARGUMENT"],
      [{ row: 5 }, "INVALID_ARGUMENT"],
      [{ "": "x" }, "INVALID_ARGUMENT"],
      [{ row: "\ud800" }, "INVALID_ARGUMENT"],
      [undefined, "INVALID_ARGUMENT"],
    ] as const) {
      expect(await codeOf(keystead.datasets.recontext("crm.person", template as Record<string, string>)), JSON.stringify(template)).toBe(
        code,
      );
    }
    expect((await keystead.datasets.show("crm.person")).nextContext).toBeUndefined();
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("can be paused; until it is done both templates open, and no third is begun", async () => {
    const { keystead, database } = await createPersons(1200);
    await keystead.datasets.protect("crm.person");
    const next = { a: "1", row: "{id}" };
    expect(await keystead.datasets.recontext("crm.person", next, pauseAt(500).options)).toMatchObject({ state: "paused" });
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { dataset: "crm.person" }, nextContext: next });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    await keystead.keys.rotate("pii");
    expect((await keystead.datasets.reencrypt("crm.person")).progress.problems).toBe(0);
    expect(await codeOf(keystead.datasets.recontext("crm.person", { row: "x{id}" }))).toBe("CONFLICT");
    expect(await keystead.datasets.recontext("crm.person", { row: "{id}", a: "1" }, pauseAt(600).options)).toMatchObject({
      state: "paused",
    });
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    const shown = await keystead.datasets.show("crm.person");
    expect({ context: shown.context, nextContext: shown.nextContext }).toEqual({ context: next, nextContext: undefined });
    const sealed = String(readColumn(database, "income").get("3"));
    expect(await keystead.decryptValue(sealed, { context: { ...next, row: "3", column: "income" } })).toBe(3);
  });

  it("also moves what the application sealed under the old context behind its back", async () => {
    const { keystead, database } = await createPersons(600);
    await keystead.datasets.protect("crm.person");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const late = key.encryptValue("late", { dataset: "crm.person", "row.id": "1", column: "name" });
    const { state, progress } = await keystead.datasets.recontext(
      "crm.person",
      { row: "{id}" },
      {
        onProgress: ({ pass, scanned }) =>
          pass === 1 && scanned === 600 && database.prepare("UPDATE person SET name = ? WHERE id = 1").run(late),
      },
    );
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 0 });
    expect(key.decryptValue(String(readColumn(database, "name").get("1")), { row: "1", column: "name" })).toBe("late");
    await key.close();
  });

  it("looks at the whole table again after a pause", async () => {
    const { keystead, database } = await createPersons(600);
    database.exec("UPDATE person SET name = NULL, income = NULL WHERE id > 500");
    await keystead.datasets.protect("crm.person");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const late = key.encryptValue("late", { dataset: "crm.person", "row.id": "1", column: "name" });
    await keystead.datasets.recontext("crm.person", { row: "{id}" }, pauseAt(500).options);
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(late);
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    expect(key.decryptValue(String(readColumn(database, "name").get("1")), { row: "1", column: "name" })).toBe("late");
    await key.close();
  });

  it("is incomplete while a row can't be moved: both templates open, and it can be run again", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    database.exec("UPDATE person SET name = (SELECT name FROM person WHERE id = 2) WHERE id = 1");
    const before = readExactly(database, "person")[0]?.[1];
    for (const template of [{ row: "{id}" }, undefined]) {
      const result = await keystead.datasets.recontext("crm.person", template);
      expect(result).toMatchObject({ state: "incomplete", progress: { problems: 1, unopened: 1 } });
      expect(problemsOf(result)).toEqual(["1 name DECRYPTION_FAILED"]);
    }
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ nextContext: { row: "{id}" }, formerContexts: [] });
    expect(readExactly(database, "person")[0]?.[1]).toEqual(before);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    database.exec("UPDATE person SET name = NULL WHERE id = 1");
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    const { nextContext, formerContexts } = await keystead.datasets.show("crm.person");
    expect({ nextContext, formerContexts }).toEqual({ nextContext: undefined, formerContexts: [] });
  });

  it("can be ended although a value opens under neither template; it stays as it is and opens again once it is repaired", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    const sealed = readColumn(database, "name");
    const setName = database.prepare("UPDATE person SET name = ? WHERE id = 1");
    const old = (await keystead.datasets.show("crm.person")).context;
    const damaged = `${String(sealed.get("1")).slice(0, -4)}AAAA`;
    setName.run(damaged);
    const { state, progress } = await keystead.datasets.recontext("crm.person", { row: "{id}" }, { leaveUnopened: true });
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 1 });
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { row: "{id}" }, formerContexts: [old] });
    expect(readColumn(database, "name").get("1")).toBe(damaged);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    // The next template is not held up by it.
    const third = { no: "{id}" };
    expect((await keystead.datasets.recontext("crm.person", third, { leaveUnopened: true })).state).toBe("done");
    expect((await keystead.datasets.show("crm.person")).formerContexts).toEqual([old, { row: "{id}" }]);
    // Put back from a backup, it is under the oldest template: on the way there and back it is taken along.
    setName.run(String(sealed.get("1")));
    for (const template of [old, third]) {
      expect(await keystead.datasets.recontext("crm.person", template)).toMatchObject({ state: "done", progress: { problems: 0 } });
    }
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    const moved = String(readColumn(database, "name").get("1"));
    expect(await keystead.decryptValue(moved, { context: { no: "1", column: "name" } })).toBe("name 1");
  });

  it("can't be ended over a value that opens under the old template alone", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    database.exec(`
      UPDATE person SET name = (SELECT name FROM person WHERE id = 2) WHERE id = 1;
      CREATE TRIGGER no BEFORE UPDATE ON person WHEN old.id = 3 BEGIN SELECT RAISE(ABORT, 'no'); END`);
    const result = await keystead.datasets.recontext("crm.person", { row: "{id}" }, { leaveUnopened: true });
    expect(result).toMatchObject({ state: "incomplete", progress: { problems: 3, unopened: 1 } });
    expect(problemsOf(result).sort()).toEqual(["1 name DECRYPTION_FAILED", "3 income DATABASE_FAILED", "3 name DATABASE_FAILED"]);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    database.exec("DROP TRIGGER no");
    expect(await keystead.datasets.recontext("crm.person", undefined, { leaveUnopened: true })).toMatchObject({ state: "done" });
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
  });

  it("is not held up by a value that no index holds", async () => {
    const { keystead, database } = await createPersons(3);
    database.exec("ALTER TABLE person ADD COLUMN income_bi TEXT; UPDATE person SET income = 1.5 WHERE id = 2");
    const index = { columns: ["income"], column: "income_bi", key: "bi", kind: "exact", normalisers: ["none"], bits: 16 };
    await keystead.datasets.addIndex("crm.person", "income", index);
    await keystead.datasets.protect("crm.person");
    const result = await keystead.datasets.recontext("crm.person", { row: "{id}" });
    expect(result).toMatchObject({ state: "done", progress: { problems: 1, tokenProblems: 1, unopened: 0 } });
    expect(problemsOf(result)).toEqual(["2 income INVALID_ARGUMENT"]);
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { row: "{id}" }, formerContexts: [] });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("of data of a version that was destroyed ends likewise", async () => {
    const { keystead, database, clock } = await createPersons(2);
    await keystead.datasets.protect("crm.person");
    const sealed = String(readColumn(database, "name").get("1"));
    await keystead.keys.rotate("pii");
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(7 * 86_400_000);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(sealed);
    expect(await keystead.datasets.recontext("crm.person", { row: "{id}" })).toMatchObject({ state: "incomplete" });
    const result = await keystead.datasets.recontext("crm.person", undefined, { leaveUnopened: true });
    expect(result.state).toBe("done");
    expect(problemsOf(result)).toEqual(["1 name KEY_STATE"]);
  });
});
