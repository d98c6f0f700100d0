import { randomUUID } from "node:crypto";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { leaseMilliseconds } from "../../../src/datasets/job-lease.ts";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../../src/keystead.ts";
import { startChild } from "../../support/child.ts";
import { createTestDatabase, type TestDatabase } from "../../support/postgres-database.ts";
import { TestClock } from "../../support/test-clock.ts";
import { codeOf, openTestKeystead, testMasterKeys } from "../../support/test-keystead.ts";
import { personDataset } from "../support/crm.ts";
import { shareCompileCache } from "../support/killed-job.ts";

shareCompileCache();

const patiently = { timeout: 30_000 };

/** Time stands still until the test moves it. */
class StandingClock extends TestClock {
  override wait(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Place {
  readonly database: TestDatabase;
  readonly keystead: Keystead;
  readonly options: KeysteadOptions & { readonly databases: { readonly crm: string } };
}

/** A table that is protected under version 1 of two, whose rows count how often they were replaced and wait for advisory lock 1 before. */
async function createPlace(rows: number, clock?: TestClock): Promise<Place> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    `create table person (id bigint primary key, name text, replaced int not null default -1);
     create function count_replaced() returns trigger language plpgsql as
       'begin perform pg_advisory_xact_lock_shared(1); new.replaced = old.replaced + 1; return new; end';
     create trigger count_replaced before update on person for each row execute function count_replaced()`,
  );
  await database.query("insert into person select i, 'name ' || i from generate_series(1, $1) i", [rows]);
  const options = {
    store: `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`,
    masterKeys: testMasterKeys,
    databases: { crm: `${database.url}?lock_timeout=1800000&statement_timeout=3600000` },
    ...(clock !== undefined && { clock }),
  };
  const keystead = await initKeystead(options);
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
  await keystead.datasets.protect("crm.person");
  await keystead.keys.rotate("pii");
  return { database, keystead, options };
}

/** A session of the application, which may keep others waiting. */
async function connect({ database }: Place): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Sessions of workers that wait for a lock. */
async function blocked({ database }: Place): Promise<number> {
  const sessions = "from pg_stat_activity where application_name = 'keystead dataset' and datname = current_database()";
  return (await database.query(`select ${sessions} and wait_event_type = 'Lock'`)).length;
}

async function untilBlocked(place: Place): Promise<void> {
  await expect.poll(() => blocked(place), patiently).toBe(1);
}

/**
 * Keeps `work`, which has one page, from counting after it: its last page waits until the application has asked for the table.
 * @returns what gives the table free
 */
async function blockCensus(place: Place, work: () => void): Promise<() => Promise<unknown>> {
  const [pages, table] = [await connect(place), await connect(place)];
  await pages.query("select pg_advisory_lock(1)");
  work();
  await untilBlocked(place);
  const locked = table.query("begin; lock table person in access exclusive mode");
  const waiting = "select from pg_locks where mode = 'AccessExclusiveLock' and not granted and relation = 'person'::regclass";
  await expect.poll(async () => (await place.database.query(waiting)).length, patiently).toBe(1);
  await pages.query("select pg_advisory_unlock(1)");
  await locked;
  await untilBlocked(place);
  return () => table.query("rollback");
}

async function expectReplacedOnce({ database }: Place, rows: number): Promise<void> {
  expect(await database.query("select replaced, count(*)::int as rows from person group by replaced")).toEqual([{ replaced: 1, rows }]);
}

describe("a worker in another process that counts", () => {
  it.each([
    ["pause", "paused"],
    ["cancel", "cancelled"],
  ] as const)("hears of jobs %s although the database does not answer", async (act, state) => {
    const place = await createPlace(400);
    const { keystead, options } = place;
    const program = new URL("../support/worker-process.ts", import.meta.url);
    const workers: ReturnType<typeof startChild>[] = [];
    const free = await blockCensus(place, () => {
      workers.push(startChild(program, [options.store, options.databases.crm, "reencrypt"]));
    });
    expect(await keystead.jobs.show("crm.person")).toMatchObject({ state: "running", progress: { scanned: 400, replaced: 400 } });
    expect(await keystead.jobs[act]("crm.person")).toMatchObject({ state });
    expect((await workers[0]?.finish())?.at(-1)).toBe(`${state} 0 `);
    expect(await blocked(place)).toBe(0);
    expect(await keystead.jobs.show("crm.person")).toMatchObject({ state, workers: [] });
    await free();

    const goesOn = act === "pause" ? keystead.jobs.resume("crm.person") : keystead.datasets.reencrypt("crm.person");
    const { state: ended, progress, census } = await goesOn;
    expect({ ended, replaced: progress.replaced }).toEqual({ ended: "done", replaced: act === "pause" ? 400 : 0 });
    expect(census?.columns).toMatchObject([{ versions: [{ standing: "current", count: 400 }] }]);
    await expectReplacedOnce(place, 400);
  });
});

describe("a worker whose database does not answer", () => {
  it("hears within a second that its job was paused", async () => {
    const place = await createPlace(400);
    const other = await openTestKeystead(place.options);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    const jobs: ReturnType<Keystead["datasets"]["reencrypt"]>[] = [];
    const free = await blockCensus(place, () => jobs.push(place.keystead.datasets.reencrypt("crm.person")));
    await other.jobs.pause("crm.person");
    vi.advanceTimersByTime(1_000);
    expect(await jobs[0]).toMatchObject({ state: "paused" });
    await free();
  });

  it("stays named until its page is done, so that nobody begins another job beside it", async () => {
    const place = await createPlace(400);
    const other = await openTestKeystead(place.options);
    const application = await connect(place);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    await application.query("begin; select from person where id = 1 for update");
    const job = place.keystead.datasets.reencrypt("crm.person");
    await untilBlocked(place);
    const { updatedAt } = await other.jobs.cancel("crm.person");
    // So long that it says in between that it is there.
    for (let look = 1; look <= 20; look += 1) {
      vi.advanceTimersByTime(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await expect.poll(async () => (await other.jobs.show("crm.person")).updatedAt, patiently).not.toBe(updatedAt);
    expect(await other.jobs.show("crm.person")).toMatchObject({ state: "cancelled", workers: [{}] });
    expect(await codeOf(other.datasets.unprotect("crm.person"))).toBe("CONFLICT");
    await application.query("rollback");
    expect(await job).toMatchObject({ state: "cancelled", progress: { replaced: 400 } });
    expect(await other.jobs.show("crm.person")).toMatchObject({ state: "cancelled", workers: [] });
    expect(await other.datasets.unprotect("crm.person")).toMatchObject({ state: "done", progress: { replaced: 400 } });
  });

  it("keeps its lease, and no other one takes its rows", async () => {
    const clock = new StandingClock();
    const place = await createPlace(1_500, clock);
    const { keystead, options } = place;
    const other = await openTestKeystead(options);
    const application = await connect(place);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => void vi.useRealTimers());
    /** Moves the time on, in steps in which so many workers say that they are there. */
    const pass = async (milliseconds: number, workers: number): Promise<void> => {
      const step = leaseMilliseconds / 3;
      const renewed = async (): Promise<unknown> => {
        const job = await other.jobs.show("crm.person");
        return { workers: job.workers.length, renewed: Date.parse(job.updatedAt) > clock.now() - leaseMilliseconds / 2 };
      };
      for (let passed = 0; passed < milliseconds; passed += step) {
        clock.advance(step);
        vi.advanceTimersByTime(step);
        await expect.poll(renewed, patiently).toEqual({ workers, renewed: true });
      }
    };
    await application.query("begin; select from person where id = 1 for update");
    const first = keystead.datasets.reencrypt("crm.person");
    await untilBlocked(place);
    await pass(3 * leaseMilliseconds, 1);

    const seen: number[] = [];
    const second = other.jobs.resume("crm.person", { onProgress: ({ scanned }) => seen.push(scanned) });
    await expect.poll(async () => (await other.jobs.show("crm.person")).progress.replaced, patiently).toBe(1_000);
    await pass(3 * leaseMilliseconds, 2);
    expect(await other.jobs.show("crm.person")).toMatchObject({ state: "running", progress: { scanned: 1_000 }, workers: [{}, {}] });
    // The second one waits for the first, and not for the row.
    expect(await blocked(place)).toBe(1);
    expect(Math.max(...seen)).toBe(1_000);
    await application.query("rollback");
    const results = await Promise.all([first, second]);
    expect(results.map(({ state }) => state)).toEqual(["done", "done"]);
    expect(results[0].progress).toMatchObject({ pass: 1, scanned: 1_500, replaced: 1_500, changed: 0 });
    await expectReplacedOnce(place, 1_500);
  });
});
