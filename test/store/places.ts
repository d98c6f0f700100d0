import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { KeysteadError, type ErrorCode } from "../../src/errors.ts";
import { deriveMetadataKey } from "../../src/store/metadata-key.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store, StoreIdentity } from "../../src/store/store.ts";
import type { StorePlace } from "../../src/testing/store.ts";

/** A new folder; gone when the test disposes of it. */
export function temporaryFolder(): { path: string; [Symbol.dispose]: () => void } {
  const path = mkdtempSync(join(tmpdir(), "keystead-store-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A store in a file that does not exist yet. */
export async function newSqlitePlace(): Promise<StorePlace> {
  const folder = temporaryFolder();
  const path = join(folder.path, "keystead.db");
  const store = await openSqliteStore(path, { clock: systemClock, create: true });
  const raw = await openRaw(path);
  return {
    store,
    connect: async () => await openSqliteStore(path, { clock: systemClock }),
    sql: raw.sql,
    dispose: async () => {
      await raw.close();
      folder[Symbol.dispose]();
    },
  };
}

/** A store in memory, with access to its database. */
export async function newMemoryPlace(): Promise<StorePlace> {
  const database = await SqliteDatabase.openInMemory();
  return { store: new SqlStore(database), connect: undefined, sql: database.sql, dispose: async () => await database.close() };
}

/** Queries on a store's file behind the store's back. */
export async function openRaw(path: string): Promise<SqliteDatabase> {
  const wait = { clock: systemClock, timeout: 5_000 };
  return await SqliteDatabase.open({ url: `sqlite:${path}`, location: path, readOnly: false, wait, assertInPlace: () => undefined });
}

/** What the tests give to their stores. */
export const newIdentity: StoreIdentity = { id: "0b9f5c46-1f0a-4a53-8a0e-5b8f6f1f7f11", demo: false, createdAt: 1_750_000_000_000 };
export const metadataKey = deriveMetadataKey(Buffer.alloc(32, 0x21));
export const noRows = async (): Promise<void> => Promise.resolve();

/** Makes a store in a file, with some rows, and closes it. */
export async function createStoreFile(path: string): Promise<void> {
  const store = await openSqliteStore(path, { clock: systemClock, create: true });
  try {
    await store.create(newIdentity, metadataKey, async ({ settings, aliases, counters }) => {
      await settings.insert({ name: "count", value: "0" });
      for (let index = 0; index < 20; index++) await aliases.insert({ alias: `alias ${index}`, keyId: `key ${index}` });
      await counters.insert({
        keyId: "k",
        version: 1,
        datasetId: "",
        seals: 1,
        opens: 0,
        refusals: 0,
        lastOpenedAt: null,
        lastRefusedAt: null,
      });
    });
  } finally {
    await store.close();
  }
}

/** Opens a store's file and unlocks it. */
export async function openUnlocked(path: string): Promise<Store> {
  const store = await openSqliteStore(path, { clock: systemClock });
  try {
    await store.unlock(metadataKey);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The code of the KeysteadError that the work fails with; fails when it doesn't. */
export async function codeOf(work: () => Promise<unknown>): Promise<ErrorCode> {
  try {
    await work();
  } catch (error) {
    if (error instanceof KeysteadError) return error.code;
    throw error;
  }
  throw new Error("it should have failed");
}
