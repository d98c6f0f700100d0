import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, statSync } from "node:fs";
import { dirname } from "node:path";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { isKeysteadError } from "../../src/errors.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { mountSmallDisk, needsMount } from "../support/small-disk.ts";
import { codeOf, metadataKey, newIdentity, noRows } from "./places.ts";

/** Adds rows until the disk is full. @returns how many were committed */
async function fillUp(store: Store): Promise<number> {
  for (let index = 0; ; index++) {
    try {
      await store.transaction(async ({ aliases, auditLines }) => {
        await aliases.insert({ alias: `filler ${String(index)}`, keyId: "k" });
        await auditLines.insert({ writer: "w", sequence: index, line: randomBytes(20_000) });
      });
    } catch (error) {
      if (!isKeysteadError(error, "STORE_FULL")) throw error;
      expect(error.message).toBe("the database has no space left: free some on its disk, then try again");
      return index;
    }
  }
}

/** The store holds what was committed, all of it. */
async function expectWhole(store: Store, committed: number): Promise<void> {
  expect(await store.verify()).toEqual([]);
  const found = await store.read(async ({ aliases, auditLines }) => [(await aliases.list()).length, (await auditLines.list()).length]);
  expect(found).toEqual([committed, committed]);
}

interface Small {
  readonly url: string;
  readonly grow: () => void;
}

/** A server whose tables lie on a disk of their own; undefined where this process may not mount one. */
async function startSmall(size: string): Promise<Small | undefined> {
  const disk = mountSmallDisk(size);
  if (disk === undefined) return undefined;
  const server = await PostgresServer.start();
  onTestFinished(() => server.stop());
  const url = server.url("postgres");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ folder: string }>("select current_setting('data_directory') as folder");
  await client.end();
  const { uid, gid } = statSync(rows[0]?.folder ?? "");
  chmodSync(dirname(disk.path), 0o755);
  chownSync(disk.path, uid, gid);
  await server.run("postgres", `create tablespace small location '${disk.path}'`);
  await server.run("postgres", "alter role postgres set default_tablespace = 'small'");
  return {
    url,
    grow: () => {
      disk.remount("size=64m");
    },
  };
}

async function open(url: string): Promise<Store> {
  const store = await openPostgresStore(url, { clock: systemClock });
  onTestFinished(() => store.close());
  return store;
}

describe("a full disk of the database", () => {
  it("is STORE_FULL and harms nothing; the store works on when there is space", async (context) => {
    const small = await startSmall("3m");
    if (small === undefined) return context.skip(needsMount);
    const store = await open(small.url);
    await store.create(newIdentity, metadataKey, noRows);
    const committed = await fillUp(store);
    expect(committed).toBeGreaterThan(3);
    await expectWhole(store, committed);
    const other = await open(small.url);
    await other.unlock(metadataKey);
    await expectWhole(other, committed);
    small.grow();
    for (const [name, each] of Object.entries({ store, other })) {
      await each.transaction(async ({ settings }) => await settings.insert({ name, value: "" }));
      await expectWhole(each, committed);
    }
    expect(await store.read(async ({ settings }) => (await settings.list()).map(({ name }) => name))).toEqual(["other", "store"]);
  });

  it("leaves nothing of a transaction whose caller went on after the statement that failed", async (context) => {
    const small = await startSmall("3m");
    if (small === undefined) return context.skip(needsMount);
    const store = await open(small.url);
    await store.create(newIdentity, metadataKey, noRows);
    const tooMuch = { writer: "w", sequence: 0, line: randomBytes(8_000_000) };
    const stubborn = store.transaction(async ({ settings, auditLines }) => {
      await settings.insert({ name: "before", value: "" });
      expect(await codeOf(async () => await auditLines.insert(tooMuch))).toBe("STORE_FULL");
    });
    expect(await codeOf(() => stubborn)).toBe("STORE_FULL");
    expect(await store.read(async ({ settings, auditLines }) => [await settings.list(), await auditLines.list()])).toEqual([[], []]);
    expect(await store.verify()).toEqual([]);
  });

  it("is STORE_FULL when there is no space for a new store, which is made once there is", async (context) => {
    const small = await startSmall("128k");
    if (small === undefined) return context.skip(needsMount);
    const store = await open(small.url);
    const create = () => store.create(newIdentity, metadataKey, noRows);
    expect(await codeOf(create)).toBe("STORE_FULL");
    expect(await store.exists()).toBe(false);
    small.grow();
    await create();
    expect(await store.verify()).toEqual([]);
  });
});
