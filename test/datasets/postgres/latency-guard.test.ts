import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { TestClock } from "../../support/test-clock.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

/** So many that each range that a worker takes is one page. */
const rows = 16_000;
const pages = rows / 500;
/** Numbers of the first and the last page that the database is slow for. */
const slow = { from: 10, to: 18 };

/** A millisecond goes by each time that somebody looks. Nobody waits: after each page it is noted how long that would be. */
class LookedAtClock extends TestClock {
  readonly rests: number[] = [];

  override monotonic(): number {
    this.advance(1);
    return super.monotonic();
  }

  override wait(milliseconds: number): Promise<void> {
    this.rests[this.rests.length - 1] = (this.rests.at(-1) ?? 0) + milliseconds;
    return Promise.resolve();
  }
}

it("a latency guard lets a job rest ever longer while PostgreSQL is slow, and no more once that is over", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    `create table person(id int primary key, name text);
     create sequence page;
     create function work() returns trigger language plpgsql as
       'begin perform pg_advisory_xact_lock(nextval(''page'')); return null; end';
     create trigger work before update on person for each statement execute function work()`,
  );
  await database.query("insert into person select i, 'name ' || i from generate_series(1, $1::int) i", [rows]);
  const slowness = new pg.Client({ connectionString: database.url });
  await slowness.connect();
  onTestFinished(() => slowness.end());
  await slowness.query("select pg_advisory_lock(n) from generate_series($1::int, $2::int) n", [slow.from, slow.to]);

  const clock = new LookedAtClock();
  const { keystead } = await createTestKeystead({ databases: { crm: database.url }, clock });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { name: { key: "pii" } } });
  const { rests } = clock;
  const job = keystead.datasets.protect("crm.person", { latencyGuard: 20, onProgress: () => void rests.push(0) });
  for (let page = slow.from; page <= slow.to; page += 1) {
    const waiting = "select from pg_locks where locktype = 'advisory' and not granted and objid::int8 = $1";
    await expect.poll(async () => (await database.query(waiting, [page])).length, { timeout: 30_000 }).toBe(1);
    // What this statement takes, while it waits for the lock.
    clock.advance(1_000);
    await slowness.query("select pg_advisory_unlock($1::int)", [page]);
  }
  expect(await job).toMatchObject({ state: "done", progress: { pass: 1, replaced: rows, problems: 0 } });

  // One that finds no more rows comes last.
  expect([pages, pages + 1]).toContain(rests.length);
  expect(rests.slice(0, slow.from + 2)).toEqual(rests.slice(0, slow.from + 2).map(() => 0));
  // Four slow pages of eight say that the database is slow, and five quick ones that it is not.
  const during = rests.slice(slow.from + 2, slow.to + 4);
  expect(during.slice(0, 8)).toEqual([20, 40, 80, 160, 320, 640, 1280, 2000]);
  expect(new Set(during.slice(8))).toEqual(new Set([2000]));
  const after = rests.slice(slow.to + 4);
  expect(after.slice(0, 3)).toEqual([1000, 500, 250]);
  expect(after.at(-1)).toBe(0);
});
