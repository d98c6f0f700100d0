import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { type PostgresProxy, startProxy } from "../support/postgres-proxy.ts";
import { metadataKey, newIdentity, noRows } from "./places.ts";
import { newPostgresPlace, type PostgresPlace } from "./postgres-place.ts";

async function emptyPlace(): Promise<PostgresPlace> {
  const place = await newPostgresPlace();
  onTestFinished(async () => {
    await place.store.close();
    await place.dispose();
  });
  return place;
}

async function newStore(): Promise<PostgresPlace> {
  const place = await emptyPlace();
  await place.store.create(newIdentity, metadataKey, async ({ settings }) => {
    await settings.insert({ name: "count", value: "0" });
  });
  return place;
}

/** The store of a place once more, through a proxy. */
async function throughProxy({ url }: PostgresPlace, parameters = ""): Promise<{ readonly store: Store; readonly proxy: PostgresProxy }> {
  const proxy = await startProxy(url);
  const store = await openPostgresStore(`${proxy.url}${parameters}`, { clock: systemClock });
  onTestFinished(() => store.close());
  return { store, proxy };
}

/** Adds one to the count. @returns how often that was begun */
async function addOne(store: Store, meanwhile: (run: number) => Promise<unknown> = noRows): Promise<number> {
  let runs = 0;
  return await store.transaction(async ({ settings }) => {
    runs += 1;
    const count = await settings.get({ name: "count" });
    if (count === undefined) throw new Error("no count");
    await meanwhile(runs);
    await settings.update({ ...count, value: String(Number(count.value) + 1) });
    return runs;
  });
}

const countOf = async (store: Store): Promise<string | undefined> =>
  (await store.read(async ({ settings }) => await settings.get({ name: "count" })))?.value;

/** The end of a statement: the name of a setting ends in it, too. */
const isCommit = (sent: string): boolean => sent.includes("commit\0");

/** A verdict on the first commit of a client. */
function onceOnCommit(verdict: "cut before" | "cut after"): PostgresProxy["judge"] {
  let isDone = false;
  return (sent) => {
    if (isDone || !isCommit(sent)) return "pass";
    isDone = true;
    return verdict;
  };
}

/** The lock that writers of a schema take. */
function writeLock(schema: string): bigint {
  return createHash("sha256").update(`keystead store ${schema}`).digest().readBigInt64BE();
}

function holders(schema: string, granted: boolean): string {
  const key = BigInt.asUintN(64, writeLock(schema));
  const halves = `classid = ${String(key >> 32n)} and objid = ${String(key & 0xffff_ffffn)}`;
  return `select pid from pg_locks where locktype = 'advisory' and ${halves} and ${granted ? "" : "not "}granted`;
}

/** A connection of somebody else. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: `${inject("postgres")}postgres` });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe("a transaction in PostgreSQL", () => {
  it("is begun again when its session is ended", async () => {
    const { store, schema, run } = await newStore();
    const endSession = async (times: number): Promise<void> => {
      if (times <= 2) await run(`select pg_terminate_backend(pid) from (${holders(schema, true)}) as writer`);
    };
    expect(await addOne(store, endSession)).toBe(3);
    expect(await countOf(store)).toBe("1");
    expect(await store.verify()).toEqual([]);
  });

  it("is begun again when it loses a deadlock", async () => {
    const { store, schema } = await newStore();
    const other = await connect();
    // The other side looks for deadlocks later, so the store's side is the one that is given up.
    await other.query("set deadlock_timeout = '1min'");
    const observer = await connect();
    let waiting: Promise<unknown> = Promise.resolve();
    const collide = async (times: number): Promise<void> => {
      if (times > 1) return;
      await other.query(`begin; update ${schema}.settings set value = value where name = 'count'`);
      waiting = other.query(`select pg_advisory_xact_lock(${String(writeLock(schema))}); commit`);
      while ((await observer.query(holders(schema, false))).rows.length === 0) await pause(5);
    };
    expect(await addOne(store, collide)).toBe(2);
    await waiting;
    expect(await countOf(store)).toBe("1");
  });

  it.each(["40001", "40P01"])("is begun again when the database gives it up at its end (%s)", async (state) => {
    const { store, run } = await newStore();
    // A sequence is not rolled back, so it counts what was given up.
    await run(`create sequence tries; create function refuse() returns trigger language plpgsql as
      $$ begin if nextval('tries') < 3 then raise exception 'given up' using errcode = '${state}'; end if; return null; end $$;
      create constraint trigger refuse after update on settings deferrable initially deferred for each row execute function refuse()`);
    expect(await addOne(store)).toBe(3);
    expect(await countOf(store)).toBe("1");
  });

  it("is given up for good when the database never takes it, and nothing of it is there", async () => {
    const { store, run } = await newStore();
    await run(`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'given up' using errcode = '40001'; end $$;
      create constraint trigger refuse after update on settings deferrable initially deferred for each row execute function refuse()`);
    await expect(addOne(store)).rejects.toMatchObject({ code: "STORE_BUSY", message: expect.stringContaining("try again") as string });
    expect(await countOf(store)).toBe("0");
  });

  it("is not begun again for what its own work throws", async () => {
    const { store } = await newStore();
    let runs = 0;
    const failing = addOne(store, () => Promise.reject(new RangeError(`run ${String(++runs)}`)));
    await expect(failing).rejects.toThrow("run 1");
  });
});

describe("a connection that is lost while a transaction commits", () => {
  it.each([
    ["before the database hears of it", "cut before", 2],
    ["before its answer arrives", "cut after", 1],
  ] as const)("%s: the transaction is there once", async (_, verdict, runs) => {
    const place = await newStore();
    // One connection: the one that was lost must not keep others from asking.
    const { store, proxy } = await throughProxy(place, "&pool=1");
    await store.unlock(metadataKey);
    await addOne(store);
    proxy.judge = onceOnCommit(verdict);
    expect(await addOne(store)).toBe(runs);
    expect(await countOf(place.store)).toBe("2");
    expect(await place.store.verify()).toEqual([]);
  });

  it("is told apart from what other processes wrote meanwhile, be it the very same", async () => {
    const place = await newStore();
    const { store, proxy } = await throughProxy(place);
    await store.unlock(metadataKey);
    proxy.judge = (sent) => {
      if (!isCommit(sent)) return "pass";
      proxy.judge = () => "cut before";
      // Another process does the same before this one can ask: the manifest looks as if this one had done it.
      void addOne(place.store).then(() => (proxy.judge = () => "pass"));
      return "cut before";
    };
    expect(await addOne(store)).toBe(2);
    expect(await countOf(place.store)).toBe("2");
  });

  it.each(["cut before", "cut after"] as const)("makes a new store once (%s)", async (verdict) => {
    const place = await emptyPlace();
    const { store, proxy } = await throughProxy(place);
    proxy.judge = onceOnCommit(verdict);
    // The first transaction is the one that makes it.
    await store.create(newIdentity, metadataKey, async ({ settings }) => {
      await settings.insert({ name: "count", value: "0" });
    });
    expect(await countOf(store)).toBe("0");
    expect(await store.verify()).toEqual([]);
  });

  it("is an unknown end when the database can't be asked since", async () => {
    const place = await newStore();
    const proxy = await startProxy(place.url);
    // Its time passes without anybody waiting for it.
    let time = 0;
    const clock = {
      now: () => time,
      monotonic: () => time,
      wait: async (milliseconds: number) => Promise.resolve(void (time += milliseconds)),
    };
    const store = await openPostgresStore(proxy.url, { clock });
    onTestFinished(() => store.close());
    await store.unlock(metadataKey);
    proxy.judge = (sent) => {
      if (!isCommit(sent)) return "pass";
      proxy.judge = () => "cut before";
      return "cut after";
    };
    await expect(addOne(store)).rejects.toMatchObject({
      code: "STORE_FAILED",
      message: expect.stringContaining("look whether it was made") as string,
    });
    proxy.judge = () => "pass";
    expect(await countOf(store)).toBe("1");
  });
});

describe("what tells how transactions ended", () => {
  it("is one row for each process, and none for those long gone", async () => {
    const place = await newStore();
    const rows = async (): Promise<number> =>
      Number(
        (
          await place.sql
            .selectFrom("keystead_writers")
            .select(({ fn }) => fn.countAll<bigint>().as("rows"))
            .executeTakeFirst()
        )?.rows,
      );
    await addOne(place.store);
    await addOne(place.store);
    expect(await rows()).toBe(1);
    await place.run("update keystead_writers set at = now() - interval '2 days'");
    const second = await openPostgresStore(place.url, { clock: systemClock });
    onTestFinished(() => second.close());
    await second.unlock(metadataKey);
    expect(await rows()).toBe(1);
    await second.transaction(noRows);
    await addOne(second);
    expect(await rows()).toBe(1);
  });
});
