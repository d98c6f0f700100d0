import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { openParts } from "../support/parts.ts";
import { SleepyClock } from "../support/sleepy-clock.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, openTestKeystead } from "../support/test-keystead.ts";
import { createCrm, dataVersion, logUpdates, openDatabase, personDataset, queryNumber, readColumn, takeUpdates } from "./support/crm.ts";
import { createPersons, pauseAt } from "./support/persons.ts";

/** A dataset that two Keysteads work on, whose clock stands still when it is told to. */
async function openTwice(rows: number) {
  const clock = new SleepyClock();
  const { keystead, folder, path, database } = await createPersons(rows, { clock });
  await keystead.close();
  const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
  const first = await initKeystead(options);
  await first.keys.create({ name: "pii", purpose: "pii" });
  await first.datasets.add("crm.person", personDataset({ name: "pii" }));
  return { first, second: await openTestKeystead(options), clock, database };
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
    expect((clock.monotonic() - begin) / 1000).toBeCloseTo(10, 5);
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
      onProgress: () => attempts.push(codeOf(second.datasets.verify("crm.person"))),
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
    expect(await keystead.datasets.protect("crm.person", { ...pauseAt(500).options, dryRun: true })).toMatchObject({ state: "cancelled" });
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
    const { first, second, clock, database } = await openTwice(600);
    logUpdates(database);
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

  it("because it stood still while another process ran a job of another kind undoes nothing of that", async () => {
    const { first, second, clock, database } = await openTwice(2_000);
    clock.onWait = async () => {
      clock.advance(31_000);
      expect(await second.datasets.unprotect("crm.person")).toMatchObject({ state: "done" });
    };
    expect(await codeOf(first.datasets.protect("crm.person", { rowsPerSecond: 100 }))).toBe("CONFLICT");
    // What it had read before it stood still may be sealed; nothing after that.
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBeLessThanOrEqual(100);
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
    const parts = await openParts(options);
    await parts.store.transaction((tables) =>
      tables.jobs.insert({
        id: "j",
        datasetId: id,
        kind: "protect",
        state: "running",
        progress: "{}",
        leaseOwner: owner,
        leaseUntil: clock.now() + 30_000,
        createdAt: 0,
        updatedAt: 0,
      }),
    );
    await parts.store.close();
    expect(await codeOf(made.datasets.protect("crm.person"))).toBe("CONFLICT");
    clock.advance(30_000);
    expect(await made.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { replaced: 10 } });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(10);
    await made.close();
  });
});
