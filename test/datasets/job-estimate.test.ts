import { expect, it, onTestFinished } from "vitest";
import { leaseMilliseconds } from "../../src/datasets/job-lease.ts";
import { estimateRest, noCounts } from "../../src/datasets/job-progress.ts";
import { columnsOf } from "../../src/datasets/job-record.ts";
import { beginWork, nextPass, restartPass, withCounts, withWorker } from "../../src/datasets/job-work.ts";
import { initKeystead } from "../../src/keystead.ts";
import { openParts } from "../support/parts.ts";
import { TestClock } from "../support/test-clock.ts";
import { fileStore, openTestKeystead } from "../support/test-keystead.ts";
import { createCrm, personDataset } from "./support/crm.ts";
import { createPersons } from "./support/persons.ts";

/** A clock that asks something each time that somebody waits. */
class AskingClock extends TestClock {
  ask: (() => Promise<void>) | undefined;

  override async wait(milliseconds: number): Promise<void> {
    await this.ask?.();
    await super.wait(milliseconds);
  }
}

it("the rest of a pass is what its rows so far say, and unknown before the first", () => {
  expect(estimateRest({ scanned: 0, total: 1_000 }, 5_000)).toBeUndefined();
  expect([1, 250, 999, 1_000, 1_200].map((scanned) => estimateRest({ scanned, total: 1_000 }, scanned * 10))).toEqual([
    9_990, 7_500, 10, 0, 0,
  ]);
});

it("each pass is judged by its own time", () => {
  const pace = { rowsPerSecond: null, latencyGuard: null, problemLimit: 10 };
  const work = beginWork("{}", pace, 1_000);
  expect([nextPass(work, 60_000), restartPass(work, 60_000)].map(({ run }) => run.at)).toEqual([60_000, 60_000]);
});

interface Told {
  readonly scanned: number;
  readonly rest: number | undefined;
}

it("a job tells how long the rest may take: ever less until it is done, in every pass and after a pause", async () => {
  const clock = new AskingClock();
  const { folder, path, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)", { clock });
  database.exec("WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO person SELECT i, 'name ' || i FROM n");
  const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
  const made = await initKeystead(options);
  await made.keys.create({ name: "pii", purpose: "pii" });
  await made.datasets.add("crm.person", personDataset({ name: "pii" }));
  const watcher = await openTestKeystead(options);
  const told: Record<"begun" | "resumed" | "second", Told[]> = { begun: [], resumed: [], second: [] };
  let run: "begun" | "resumed" = "begun";
  clock.ask = async () => {
    const { progress, restMilliseconds } = await watcher.jobs.show("crm.person");
    told[progress.pass === 1 ? run : "second"].push({ scanned: progress.scanned, rest: restMilliseconds });
    // A row for another pass.
    if (progress.pass === 1 && progress.scanned > 2_000) database.exec("UPDATE person SET name = 'again' WHERE id = 1");
  };
  const controller = new AbortController();
  const paused = await made.datasets.protect("crm.person", {
    rowsPerSecond: 100,
    signal: controller.signal,
    onProgress: ({ scanned }) => {
      if (scanned === 1_500) controller.abort();
    },
  });
  expect(paused.state).toBe("paused");
  expect(await watcher.jobs.show("crm.person")).not.toHaveProperty("restMilliseconds");
  // Nobody knows how long it stays paused.
  clock.advance(3_600_000);
  run = "resumed";
  expect(await made.jobs.resume("crm.person")).toMatchObject({ state: "done", progress: { pass: 2 } });
  expect(await watcher.jobs.show("crm.person")).not.toHaveProperty("restMilliseconds");
  await made.close();

  for (const part of Object.values(told)) {
    const [first] = part;
    expect(first?.rest).toBeUndefined();
    // Of the first pages, the rest after the last one is not known yet.
    const sure = part.filter(({ scanned }) => scanned >= (first?.scanned ?? 0) + 500);
    expect(sure.length).toBeGreaterThan(5);
    const rests = sure.map(({ rest }) => rest ?? Number.NaN);
    expect(rests).toEqual(rests.toSorted((a, b) => b - a));
    for (const { scanned, rest } of sure) {
      const truth = (3_000 - scanned) * 10;
      expect(Math.abs((rest ?? Number.NaN) - truth)).toBeLessThanOrEqual(truth / 4);
    }
  }
  expect(told.second.at(-1)?.rest).toBeLessThan(2_000);
});

it("nobody knows how long the rest takes of a job whose workers were killed", async () => {
  const { keystead, folder, path, clock } = await createPersons(10);
  await keystead.close();
  const options = { ...fileStore(folder), databases: { crm: `sqlite:${path}` }, clock };
  const made = await initKeystead(options);
  onTestFinished(() => made.close());
  await made.keys.create({ name: "pii", purpose: "pii" });
  const { id } = await made.datasets.add("crm.person", personDataset({ name: "pii" }));
  const owner = JSON.stringify({ host: "elsewhere", process: 1, start: "then/1" });
  const pace = { rowsPerSecond: null, latencyGuard: null, problemLimit: 10 };
  const work = withCounts(withWorker(beginWork("{}", pace, 0), { id: "a", owner }, clock.now()), { ...noCounts, scanned: 5 });
  const parts = await openParts(options);
  await parts.store.transaction((tables) =>
    tables.jobs.insert({
      id: "j",
      datasetId: id,
      kind: "protect",
      createdAt: 0,
      ...columnsOf("running", { ...work, progress: { ...work.progress, total: 10 } }, 1_000),
    }),
  );
  await parts.store.close();
  expect(await made.jobs.show("crm.person")).toMatchObject({ restMilliseconds: 1_000 });
  clock.advance(leaseMilliseconds);
  expect(await made.jobs.show("crm.person")).not.toHaveProperty("restMilliseconds");
});
