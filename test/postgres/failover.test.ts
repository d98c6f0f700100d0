import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, afterAll, describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { ChangeListener } from "../../src/postgres/change-listener.ts";
import { clientConfigs } from "../../src/postgres/client-config.ts";
import { HostRing } from "../../src/postgres/host-ring.ts";
import { openPool } from "../../src/postgres/pool.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { metadataKey, newIdentity, noRows } from "../store/places.ts";

let primary: PostgresServer;
let standby: PostgresServer;

beforeAll(async () => {
  primary = await PostgresServer.start();
  standby = await primary.startStandby("second");
});
afterAll(async () => {
  await standby.stop();
  await primary.stop();
});

const both = (...[first, second]: readonly PostgresServer[]): string =>
  `postgresql://postgres@127.0.0.1:${String(first?.port)},127.0.0.1:${String(second?.port)}/postgres`;

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(20);
}

describe("a URL with several hosts", () => {
  it("leads to the primary wherever it stands, at each connection", async () => {
    const pool = await openPool(parsePostgresUrl(both(standby, primary), []), "test", 3);
    onTestFinished(() => pool.end());
    const clients = await Promise.all([1, 2, 3].map(async () => await pool.connect()));
    for (const client of clients) {
      expect((await client.query("select pg_is_in_recovery() as standby")).rows).toEqual([{ standby: false }]);
      client.release();
    }
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  it("leads to a standby for those who may only read", async () => {
    const pool = await openPool(parsePostgresUrl(both(standby, primary), []), "test", 1, { standbys: true });
    onTestFinished(() => pool.end());
    expect((await pool.query("select pg_is_in_recovery() as standby")).rows).toEqual([{ standby: true }]);
  });

  it("says so when all are standbys, and that the other can't be reached when one is", async () => {
    const open = async (hosts: string) => await openPostgresStore(`postgresql://postgres@${hosts}/postgres`, { clock: systemClock });
    const late = `127.0.0.1:${String(standby.port)}`;
    const standbys = await open(`${late},${late}`);
    const dead = await open(`${late},127.0.0.1:1`);
    onTestFinished(async () => {
      await standbys.close();
      await dead.close();
    });
    await expect(standbys.exists()).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
    await expect(dead.exists()).rejects.toMatchObject({ code: "STORE_FAILED", message: expect.stringContaining("reached") as string });
  });

  it("leads on to the standby that was promoted: store, listener and new processes", async () => {
    const url = both(primary, standby);
    const store = await openPostgresStore(url, { clock: systemClock });
    onTestFinished(() => store.close());
    await store.create(newIdentity, metadataKey, noRows);
    await store.transaction(async ({ settings }) => await settings.insert({ name: "before", value: "" }));
    let heard = 0;
    const place = parsePostgresUrl(url, []);
    const listening = new HostRing(await clientConfigs(place, "test"));
    const listener = new ChangeListener({ hosts: listening, channel: "test", onChange: () => (heard += 1) });
    onTestFinished(() => listener.close());
    await until(async () => (await listener.problem()) === undefined);
    const watcher = await openPool(parsePostgresUrl(standby.url("postgres"), []), "test", 1);
    onTestFinished(() => watcher.end());
    // The table, too, comes with the replication.
    const found = async (): Promise<number> =>
      (await watcher.query("select from keystead.settings where name = 'before'").catch(() => ({ rows: [] }))).rows.length;
    await until(async () => (await found()) === 1);

    await primary.kill();
    await standby.promote();

    await store.transaction(async ({ settings }) => await settings.insert({ name: "after", value: "" }));
    expect(await store.read(async ({ settings }) => (await settings.list()).map(({ name }) => name))).toEqual(["after", "before"]);
    await until(async () => (await listener.problem()) === undefined && heard === 2);
    await watcher.query("select pg_notify('test', '')");
    await until(async () => Promise.resolve(heard === 3));
    const young = await openPostgresStore(url, { clock: systemClock });
    onTestFinished(() => young.close());
    await young.unlock(metadataKey);
    expect(await young.verify()).toEqual([]);
  });
});
