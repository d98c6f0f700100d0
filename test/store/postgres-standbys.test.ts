import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import pg from "pg";
import { systemClock } from "../../src/clock.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { PostgresServer } from "../support/postgres-server.ts";

let primary: PostgresServer;
let standby: PostgresServer;

beforeAll(async () => {
  primary = await PostgresServer.start({ settings: { wal_level: "logical" } });
  standby = await primary.startStandby("second");
  await attached();
});
afterAll(async () => {
  await standby.stop();
  await primary.stop();
});

/** Rows of a query on a connection of its own. */
async function query(server: PostgresServer, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url("postgres") });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function attached(): Promise<void> {
  while ((await query(primary, "select from pg_stat_replication where replay_lsn is not null")).length === 0) await pause(20);
}

async function open(user = "postgres"): Promise<Store> {
  const store = await openPostgresStore(primary.url("postgres", user), { clock: systemClock });
  onTestFinished(() => store.close());
  return store;
}

const failure = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string });

describe("standbys of a store's database", () => {
  it("are waited for until they have applied what was committed, at once where they have", async () => {
    const store = await open();
    for (let times = 0; times < 3; times++) {
      await primary.run("postgres", `create table t${String(times)} (a int)`);
      await store.replicated?.(10_000);
      expect(await query(standby, `select to_regclass('t${String(times)}') is not null as there`)).toEqual([{ there: true }]);
    }
  });

  it("are named when they have not", async () => {
    const store = await open();
    await standby.run("postgres", "select pg_wal_replay_pause()");
    await primary.run("postgres", "create table late (a int)");
    await expect(store.replicated?.(100)).rejects.toThrow(failure("STORE_BUSY", 'the standby "second" has not applied'));
    const waiting = store.replicated?.(10_000);
    await standby.run("postgres", "select pg_wal_replay_resume()");
    await waiting;
    expect(await query(standby, "select to_regclass('late') is not null as there")).toEqual([{ there: true }]);
  });

  it("must be visible to the store's user", async () => {
    await primary.run("postgres", "create role keystead login");
    const store = await open("keystead");
    await expect(store.replicated?.(100)).rejects.toThrow(failure("STORE_FAILED", "grant pg_read_all_stats"));
    await primary.run("postgres", "grant pg_read_all_stats to keystead");
    const allowed = await open("keystead");
    await allowed.replicated?.(10_000);
  });

  it("must be there when a synchronous one is wanted", async () => {
    const store = await open();
    const want = async (names: string): Promise<void> => {
      // Changing the setting commits nothing, so it waits for no standby.
      await primary.run("postgres", `alter system set synchronous_standby_names = '${names}'`);
      await primary.run("postgres", "select pg_reload_conf()");
      while ((await query(primary, "show synchronous_standby_names"))[0]?.["synchronous_standby_names"] !== names) await pause(10);
    };
    await want("other");
    await expect(store.replicated?.(100)).rejects.toThrow(failure("STORE_BUSY", "synchronous_standby_names"));
    await want("second");
    await store.replicated?.(10_000);
    await want("");
    await store.replicated?.(10_000);
  });

  it("are no subscribers of logical replication", async () => {
    await query(primary, "select pg_create_logical_replication_slot('subscriber', 'pgoutput')");
    await query(primary, "create publication everything for all tables");
    const subscriber = new pg.Client({ connectionString: `${primary.url("postgres")}?replication=database` });
    subscriber.on("error", () => undefined);
    await subscriber.connect();
    // It never says how far it is.
    const options = "proto_version '1', publication_names 'everything'";
    void subscriber.query(`START_REPLICATION SLOT subscriber LOGICAL 0/0 (${options})`).catch(() => undefined);
    onTestFinished(async () => {
      await query(primary, "select pg_terminate_backend(active_pid) from pg_replication_slots where active");
      await subscriber.end();
    });
    while ((await query(primary, "select from pg_stat_replication")).length < 2) await pause(20);
    await (await open()).replicated?.(10_000);
  });
});
