import { randomUUID } from "node:crypto";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { startChild } from "../support/child.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres-database.ts";
import { codeOf, fileStore, openTestKeystead, testMasterKeys } from "../support/test-keystead.ts";
import type { Keystead } from "../../src/index.ts";
import { createCrm, logUpdates, personDataset, queryNumber, takeUpdates } from "./support/crm.ts";
import { shareCompileCache } from "./support/killed-job.ts";
import { createPersons, pauseAt } from "./support/persons.ts";

shareCompileCache();

interface Place {
  readonly store: string;
  readonly database: TestDatabase;
  readonly keystead: Keystead;
}

/** A table of PostgreSQL whose rows count how often they are replaced, protected under version 1 of two. */
async function createPlace(rows: number): Promise<Place> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create table person (id bigint primary key, name text, replaced int not null default 0)");
  await database.query("insert into person select i * 7, 'name ' || i from generate_series(1, $1) i", [rows]);
  const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
  const keystead = await initKeystead({
    store,
    masterKeys: testMasterKeys,
    databases: { crm: database.url },
    settings: { refreshBound: 50 },
  });
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
  await keystead.datasets.protect("crm.person");
  await database.query(
    `create function count_replaced() returns trigger language plpgsql as 'begin new.replaced = old.replaced + 1; return new; end';
     create trigger count_replaced before update on person for each row execute function count_replaced()`,
  );
  await keystead.keys.rotate("pii");
  return { store, database, keystead };
}

async function replacedTimes(database: TestDatabase): Promise<unknown> {
  return await database.query("select replaced, count(*)::int as rows from person group by replaced order by replaced");
}

describe("workers of several processes", () => {
  it("share a job: each row is replaced once, and all of them end when it is done", { timeout: 120_000 }, async () => {
    const { store, database, keystead } = await createPlace(20_000);
    const children = [1, 2, 3].map(() =>
      startChild(new URL("support/worker-process.ts", import.meta.url), [store, database.url, "reencrypt"]),
    );
    const own = keystead.datasets.reencrypt("crm.person", { rowsPerSecond: 4_000 });
    const most = { workers: 0 };
    const watching = (async (): Promise<void> => {
      for (;;) {
        const { kind, workers, state } = await keystead.jobs.show("crm.person");
        most.workers = Math.max(most.workers, workers.length);
        if (kind === "reencrypt" && state === "done") return;
      }
    })();
    const ends = await Promise.all(children.map((child) => child.finish()));
    const result = await own;
    await watching;
    expect(result.state).toBe("done");
    const last = ends.map((lines) => lines.at(-1) ?? "");
    expect(last.every((line) => line.startsWith("done 0"))).toBe(true);
    expect(last.filter((line) => line.includes("census")).length + (result.census === undefined ? 0 : 1)).toBe(1);
    expect(most.workers).toBeGreaterThanOrEqual(2);
    expect(await replacedTimes(database)).toEqual([{ replaced: 1, rows: 20_000 }]);
    expect(result.progress).toMatchObject({ replaced: 20_000, scanned: 20_000, problems: 0 });
  });

  it("take over what a killed one had begun", { timeout: 120_000 }, async () => {
    const { store, database, keystead } = await createPlace(8_000);
    const child = startChild(new URL("support/worker-process.ts", import.meta.url), [store, database.url, "reencrypt"]);
    expect(await child.nextLine()).toBe("begun");
    const own = keystead.datasets.reencrypt("crm.person");
    await child.kill();
    expect(await own).toMatchObject({ state: "done", progress: { problems: 0 } });
    expect(await replacedTimes(database)).toEqual([{ replaced: 1, rows: 8_000 }]);
  });
});

describe("two workers", () => {
  async function createTwo(
    rows: number,
  ): Promise<Awaited<ReturnType<typeof createPersons>> & { readonly first: Keystead; readonly second: Keystead }> {
    const crm = await createPersons(rows);
    await crm.keystead.close();
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` } };
    const first = await initKeystead(options);
    onTestFinished(() => first.close());
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.datasets.add("crm.person", personDataset({ name: "pii" }));
    logUpdates(crm.database);
    return { ...crm, first, second: await openTestKeystead(options) };
  }

  it("work beside each other on one table of SQLite", async () => {
    const { first, second, database } = await createTwo(6_000);
    const results = await Promise.all([first.datasets.protect("crm.person"), second.datasets.protect("crm.person")]);
    expect(results.map(({ state, progress }) => [state, progress.replaced])).toEqual([
      ["done", 6_000],
      ["done", 6_000],
    ]);
    expect(new Set(takeUpdates(database).values())).toEqual(new Set([1]));
    expect(results[0].id).toBe(results[1].id);
  });

  it("hear that somebody paused the job, and go on with it when it is resumed", async () => {
    const { first, second, database } = await createTwo(4_000);
    const began = Promise.withResolvers<undefined>();
    const running = first.datasets.protect("crm.person", { rowsPerSecond: 1_000, onProgress: () => began.resolve(undefined) });
    await began.promise;
    expect(await codeOf(second.datasets.verify("crm.person"))).toBe("CONFLICT");
    expect(await second.jobs.pause("crm.person")).toMatchObject({ state: "paused", kind: "protect", rowsPerSecond: 1_000 });
    expect(await running).toMatchObject({ state: "paused" });
    expect(await second.jobs.show("crm.person")).toMatchObject({ state: "paused", workers: [] });
    expect(await codeOf(second.jobs.pause("crm.person"))).toBe("CONFLICT");
    expect(await second.jobs.resume("crm.person", { rowsPerSecond: 1_000_000 })).toMatchObject({
      state: "done",
      progress: { replaced: 4_000 },
    });
    expect(new Set(takeUpdates(database).values())).toEqual(new Set([1]));
    expect(await codeOf(second.jobs.resume("crm.person"))).toBe("CONFLICT");
  });

  it("hear that somebody cancelled it: the next job begins anew", async () => {
    const { first, second, database } = await createTwo(4_000);
    const began = Promise.withResolvers<undefined>();
    const running = first.datasets.protect("crm.person", { rowsPerSecond: 1_000, onProgress: () => began.resolve(undefined) });
    await began.promise;
    expect(await second.jobs.cancel("crm.person")).toMatchObject({ state: "cancelled" });
    // Until the worker has heard of it, nobody begins another job.
    expect(await codeOf(second.datasets.verify("crm.person"))).toBe("CONFLICT");
    const cancelled = await running;
    expect(cancelled).toMatchObject({ state: "cancelled" });
    expect(await codeOf(second.jobs.cancel("crm.person"))).toBe("CONFLICT");
    expect(await codeOf(second.jobs.resume("crm.person"))).toBe("CONFLICT");
    const next = await second.datasets.protect("crm.person");
    expect(next.id).not.toBe(cancelled.id);
    expect(next).toMatchObject({ state: "done", progress: { scanned: 4_000 } });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name NOT LIKE 'ks1:%'")).toBe(0);
    expect((await second.jobs.list()).map(({ state, kind }) => [kind, state])).toEqual([
      ["protect", "done"],
      ["protect", "cancelled"],
    ]);
  });

  it("keeps those named who have not heard of it, so that nobody begins another job beside them", async () => {
    const { first, second } = await createTwo(6_000);
    const began = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()] as const;
    const one = first.datasets.protect("crm.person", { rowsPerSecond: 1_500, onProgress: () => began[0].resolve(undefined) });
    await began[0].promise;
    const slow = second.datasets.protect("crm.person", { rowsPerSecond: 1_500, onProgress: () => began[1].resolve(undefined) });
    await began[1].promise;
    expect((await second.jobs.cancel("crm.person")).workers).toHaveLength(2);
    expect(await Promise.race([one, slow])).toMatchObject({ state: "cancelled" });
    const left = (await first.jobs.list())[0]?.workers.length ?? 0;
    const code = await codeOf(first.datasets.verify("crm.person"));
    expect(left === 0 ? "no error" : "CONFLICT").toBe(code);
    await Promise.all([one, slow]);
    expect(await codeOf(first.datasets.verify("crm.person"))).toBe("no error");
  });

  it("are told apart from those that come too late for the job they were to join", async () => {
    const { first, second, database } = await createTwo(2_000);
    const paused = await first.datasets.protect("crm.person", pauseAt(500).options);
    expect(await codeOf(second.jobs.resume("crm.person", { job: paused.id }))).toBe("CONFLICT");
    expect(await codeOf(second.jobs.resume("crm.person", { job: "another" }))).toBe("CONFLICT");
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(500);
    expect(await second.jobs.resume("crm.person")).toMatchObject({ id: paused.id, state: "done" });
  });

  it("pause the job together when the last of them is stopped", async () => {
    const { first, second } = await createTwo(4_000);
    const one = pauseAt(1_000);
    const two = pauseAt(2_000);
    const results = await Promise.all([
      first.datasets.protect("crm.person", one.options),
      second.datasets.protect("crm.person", two.options),
    ]);
    expect(results.map(({ state }) => state)).toEqual(["paused", "paused"]);
    expect(await first.jobs.show("crm.person")).toMatchObject({ state: "paused", workers: [] });
    expect(await second.jobs.resume("crm.person")).toMatchObject({ state: "done", progress: { scanned: 4_000, replaced: 4_000 } });
  });
});

describe("a limit of problems", () => {
  it("stops the job once more rows were left alone; run again, it goes on and may meet as many once more", async () => {
    const { keystead, database, clock } = await createPersons(3_000);
    await keystead.datasets.protect("crm.person");
    clock.advance(1_000);
    database.exec("UPDATE person SET name = (SELECT name FROM person WHERE id = 1) WHERE id <> 1 AND id % 10 = 1");
    const seen: string[] = [];
    const options = {
      problemLimit: 120,
      onProblems: (found: readonly { readonly row: Readonly<Record<string, string>> }[]) =>
        seen.push(...found.map(({ row }) => row["id"] ?? "")),
    };
    const failed = await keystead.datasets.verify("crm.person", options);
    expect(failed).toMatchObject({ state: "failed" });
    expect(failed.progress.problems).toBeGreaterThan(120);
    expect(failed.progress.scanned).toBeLessThan(3_000);
    expect(await keystead.jobs.show("crm.person")).toMatchObject({
      state: "failed",
      problemLimit: 120,
      progress: { problems: failed.progress.problems },
    });
    expect(await keystead.datasets.verify("crm.person", options)).toMatchObject({ id: failed.id, state: "failed" });
    expect(await keystead.jobs.resume("crm.person", options)).toMatchObject({ state: "done", progress: { problems: 299, scanned: 3_000 } });
    expect(seen.sort()).toEqual(Array.from({ length: 299 }, (_, place) => String(place * 10 + 11)).sort());
    expect((await keystead.jobs.show("crm.person")).progress.firstProblems).toHaveLength(100);
  });

  it.each([
    ["problemLimit", -1],
    ["problemLimit", 1.5],
    ["latencyGuard", 1],
    ["latencyGuard", 101],
    ["latencyGuard", Number.NaN],
  ])("is refused with %s = %d", async (name, value) => {
    const { keystead } = await createPersons(1);
    expect(await codeOf(keystead.datasets.verify("crm.person", { [name]: value }))).toBe("INVALID_ARGUMENT");
  });
});

describe("a cut-over that was interrupted", () => {
  it("looks at every row again, so that what changed meanwhile is found", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, name_sealed TEXT)");
    database.exec(
      "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO person SELECT i, 'n' || i, NULL FROM n",
    );
    const columns = { name: { key: "pii", column: "name_sealed", plaintext: "name" } };
    await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
    await keystead.datasets.protect("crm.person");
    const looked = await keystead.datasets.cutOverColumn("crm.person", "name", pauseAt(1_500).options);
    expect(looked).toMatchObject({ state: "paused", progress: { replaced: 0 } });
    database.exec("UPDATE person SET name = 'changed' WHERE id <= 300");
    expect(await codeOf(keystead.datasets.cutOverColumn("crm.person", "name"))).toBe("JOB_INCOMPLETE");
    expect(await keystead.datasets.cutOverColumn("crm.person", "name")).toMatchObject({
      state: "done",
      progress: { scanned: 2_000, replaced: 0 },
    });
  });
});
