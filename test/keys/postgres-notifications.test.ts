import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../src/clock.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { type Child, startChild } from "../support/child.ts";
import { openParts } from "../support/parts.ts";
import { createTestDatabase, type TestDatabase } from "../support/postgres-database.ts";
import { type PostgresProxy, startProxy } from "../support/postgres-proxy.ts";
import { openTestKeystead, testMasterKeys } from "../support/test-keystead.ts";
import { type PoolerOrder, TransactionPooler } from "../support/transaction-pooler.ts";

/** Processes that look for themselves do so after half of this: never, while a test lasts. */
const refreshBound = 3_600_000;
/** What the design promises, in milliseconds. */
const promised = 1_000;

/** Rotations wait for the refresh bound, which is over at once here. */
const hastyClock: Clock = { now: () => systemClock.now(), monotonic: () => systemClock.monotonic(), wait: () => Promise.resolve() };

interface Followed {
  readonly keystead: Keystead;
  readonly database: TestDatabase;
  readonly child: Child;
  readonly proxy: PostgresProxy;
  /** The next thing that the child says about its version. */
  readonly nextVersion: () => Promise<string | undefined>;
  /** What the child's doctor says of the store. */
  readonly doctor: () => Promise<string>;
}

/** A store in a database of its own, with key `k`. */
async function newStore(): Promise<Pick<Followed, "keystead" | "database">> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  const options = { store: database.url, masterKeys: testMasterKeys, clock: hastyClock };
  const keystead = await initKeystead(options);
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "k", purpose: "pii" });
  // Longer than people may set it.
  const { store, keks } = await openParts(options);
  await store.transaction(async ({ settings }) => {
    const row = await settings.get({ name: "refreshBound" });
    await (row === undefined
      ? settings.insert({ name: "refreshBound", value: String(refreshBound) })
      : settings.update({ ...row, value: String(refreshBound) }));
  });
  await keks.close();
  await store.close();
  return { keystead, database };
}

/** Another process that seals with key `k`, and learns of changes by notifications alone. */
async function follow(): Promise<Followed> {
  const { keystead, database } = await newStore();
  const proxy = await startProxy(database.url);
  const child = startChild(new URL("following-process.ts", import.meta.url), [proxy.url]);
  const versions: string[] = [];
  const findings: string[] = [];
  // The child says both in any order.
  const nextOf = async (wanted: string[]): Promise<string | undefined> => {
    while (wanted.length === 0) {
      const line = await child.nextLine();
      if (line === undefined) return (await child.finish()).at(-1);
      (line.startsWith("doctor: ") ? findings : versions).push(line);
    }
    return wanted.shift();
  };
  const followed: Followed = {
    keystead,
    database,
    child,
    proxy,
    nextVersion: () => nextOf(versions),
    doctor: async () => {
      child.process.stdin?.write("doctor\n");
      return (await nextOf(findings)) ?? "";
    },
  };
  expect(await followed.nextVersion()).toBe("version 1");
  while ((await followed.doctor()) !== "doctor: nothing to report") await pause(5);
  return followed;
}

/** Ends the connections that listen for changes of the store. */
async function endListeners({ database }: Followed): Promise<void> {
  await database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keystead listener' and datname = current_database()",
  );
}

describe("another process of a store in PostgreSQL", () => {
  it("seals with a new version within a second, told by the database", async () => {
    const { keystead, nextVersion } = await follow();
    const times: number[] = [];
    for (let version = 2; version <= 12; version++) {
      const began = systemClock.monotonic();
      const rotation = keystead.keys.rotate("k");
      expect(await nextVersion()).toBe(`version ${String(version)}`);
      times.push(systemClock.monotonic() - began);
      await rotation;
    }
    times.sort((a, b) => a - b);
    const [least, median, most] = [times[0], times[times.length >> 1], times.at(-1)].map((time) => `${(time ?? 0).toFixed(1)} ms`);
    process.stdout.write(
      `another process seals with a new version, from the beginning of the rotation: ${String(least)} (least), ${String(median)} (median), ${String(most)} (most)\n`,
    );
    expect(times[times.length >> 1]).toBeLessThan(promised);
  });

  it("looks for itself while it can't be told, says so, and catches up as soon as it can", async () => {
    const followed = await follow();
    const { keystead, proxy, nextVersion, doctor } = followed;
    proxy.judge = (sent) => (sent.includes("keystead listener") ? "cut before" : "pass");
    await endListeners(followed);
    while (!(await doctor()).includes("the process looks for them itself")) await pause(5);
    await keystead.keys.rotate("k");
    // Nothing told it, and it does not look that often.
    expect(await doctor()).toContain("the process looks for them itself");
    proxy.judge = () => "pass";
    expect(await nextVersion()).toBe("version 2");
    while ((await doctor()) !== "doctor: nothing to report") await pause(5);
    await keystead.keys.rotate("k");
    expect(await nextVersion()).toBe("version 3");
  });
});

describe("doctor", () => {
  it.each<PoolerOrder>(["longest rest", "shortest rest"])(
    "says that a pooler swallows notifications (%s), and what helps",
    async (order) => {
      const { database } = await newStore();
      const pooler = await TransactionPooler.start(Number(new URL(inject("postgres")).port), 3, order);
      onTestFinished(() => {
        pooler.stop();
      });
      const store = database.url.replace(/:\d+\//, `:${String(pooler.port)}/`);
      const keystead = await openTestKeystead({ store, masterKeys: testMasterKeys });
      const said = (await keystead.doctor.examine()).filter(({ check }) => check === "store");
      expect(said).toMatchObject([
        {
          status: "warning",
          message: expect.stringMatching(/notifications don't arrive: let the URL lead to the database itself, or to a pooler/) as string,
        },
      ]);
    },
  );
});
