import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { TestClock } from "../support/test-clock.ts";
import { testMasterKeys } from "../support/test-keystead.ts";

let primary: PostgresServer;
let standby: PostgresServer;
let watcher: pg.Pool;

beforeAll(async () => {
  primary = await PostgresServer.start();
  standby = await primary.startStandby("second");
  watcher = new pg.Pool({ connectionString: primary.url("postgres"), max: 2 });
  await until(async () => (await rows("select from pg_stat_replication where replay_lsn is not null")).length === 1);
});
afterAll(async () => {
  await watcher.end();
  await standby.stop();
  await primary.stop();
});

const rows = async (sql: string): Promise<unknown[]> => (await watcher.query<Record<string, unknown>>(sql)).rows;
const resume = async (): Promise<void> => await standby.run("postgres", "select pg_wal_replay_resume()");

/** Stops the standby from applying anything more. */
async function stopReplay(): Promise<void> {
  const client = new pg.Client({ connectionString: standby.url("postgres") });
  await client.connect();
  await client.query("select pg_wal_replay_pause()");
  await until(async () => (await client.query("select where pg_get_wal_replay_pause_state() = 'paused'")).rows.length === 1);
  await client.end();
  onTestFinished(resume);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(20);
}

async function newKeystead(schema: string): Promise<{ readonly keystead: Keystead; readonly clock: TestClock }> {
  const clock = new TestClock();
  const keystead = await initKeystead({ store: `${primary.url("postgres")}?schema=${schema}`, masterKeys: testMasterKeys, clock });
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "k", purpose: "pii" });
  return { keystead, clock };
}

const behind = (beginning: string): unknown =>
  expect.objectContaining({
    code: "STORE_BUSY",
    message: expect.stringMatching(new RegExp(`^${beginning}.*"second" has not applied`)) as string,
  });

describe("with a standby that is behind", () => {
  it("no key is made or rotated, and doctor says so; all goes on when it has caught up", async () => {
    const { keystead } = await newKeystead("one");
    await stopReplay();
    await watcher.query("create table late (a int)");
    const [rotation, creation, findings] = await Promise.allSettled([
      keystead.keys.rotate("k"),
      keystead.keys.create({ name: "other", purpose: "pii" }),
      keystead.doctor.examine(),
    ]);
    expect(rotation).toMatchObject({ status: "rejected", reason: behind("the standby") });
    expect(creation).toMatchObject({ status: "rejected", reason: behind("the standby") });
    expect(findings).toMatchObject({ status: "fulfilled" });
    const [store] = findings.status === "fulfilled" ? findings.value : [];
    expect(store).toMatchObject({
      check: "store",
      status: "warning",
      message: expect.stringContaining("can't be made or rotated") as string,
    });
    expect((await keystead.keys.list()).map(({ name, versions }) => [name, versions.length])).toEqual([
      ["k", 1],
      ["keystead/audit", 1],
    ]);
    await resume();
    expect((await keystead.keys.rotate("k")).currentVersion).toBe(2);
  });

  it("a version that was published meanwhile becomes current only once the standby has it, whoever moves the pointer", async () => {
    const { keystead, clock } = await newKeystead("two");
    const current = async (): Promise<unknown> => (await rows("select current_version::int as current from two.keys where name = 'k'"))[0];
    // Held where the version is published: replay stops before that is applied.
    await watcher.query(`create function two.hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
      create trigger hold after insert on two.versions for each row execute function two.hold()`);
    const holder = await watcher.connect();
    await holder.query("select pg_advisory_lock(7)");
    const rotation = keystead.keys.rotate("k");
    rotation.catch(() => undefined);
    await until(async () => (await rows("select from pg_locks where locktype = 'advisory' and objid = 7 and not granted")).length === 1);
    await stopReplay();
    await holder.query("select pg_advisory_unlock(7)");
    holder.release();
    await expect(rotation).rejects.toThrow(behind("version 2-.{6} is published and becomes current by itself, but not yet: the standby"));
    expect(await current()).toEqual({ current: 1 });
    // The time has come at which any process may make it current; none does.
    clock.advance(60_000);
    await pause(1_500);
    expect(await current()).toEqual({ current: 1 });
    await resume();
    clock.advance(1_000);
    await until(async () => (await keystead.keys.show("k")).currentVersion === 2);
  });
});
