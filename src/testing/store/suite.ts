import assert from "node:assert/strict";
import type { ErrorCode } from "../../errors.ts";
import type { Store } from "../../store/store.ts";
import type { Sql } from "../../store/sql/sql-database.ts";
import { sampleIdentity, sampleKey } from "./samples.ts";

/** A place where one store can be made: a file, a schema, a memory. */
export interface StorePlace {
  /** Opens the store of this place, as a process of its own would; `undefined` when only one connection can have it. */
  readonly connect: (() => Promise<Store>) | undefined;
  /** The first connection. */
  readonly store: Store;
  /** Queries behind the store's back, for the tests of what an attacker does to the database. */
  readonly sql: Sql;
  /** Closes what this place has open beside the stores and removes it. */
  readonly dispose: () => Promise<void>;
}

/** The functions of a test framework that the suite needs; those of vitest, jest, mocha and node:test fit. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
}

/** What {@link testStore} works on. */
export interface StoreSuite extends TestFunctions {
  /** Names the kind of store in the test titles. */
  readonly name: string;
  /** Makes a new place in which nothing is yet. */
  readonly open: () => Promise<StorePlace>;
}

/** Seeds a store with nothing. */
export const noRows = async (): Promise<void> => Promise.resolve();

/** Runs a test in a new place and cleans up. */
export async function inNewPlace(suite: StoreSuite, test: (place: StorePlace) => Promise<void>): Promise<void> {
  const place = await suite.open();
  try {
    await test(place);
  } finally {
    await place.store.close();
    await place.dispose();
  }
}

/** The same, in a place with a new store. */
export async function inNewStore(suite: StoreSuite, test: (place: StorePlace) => Promise<void>): Promise<void> {
  await inNewPlace(suite, async (place) => {
    await place.store.create(sampleIdentity, sampleKey, noRows);
    await test(place);
  });
}

/** Runs `work` on a second connection; skipped where there can't be one. */
export async function onSecondConnection(place: StorePlace, work: (store: Store) => Promise<void>): Promise<void> {
  const store = await place.connect?.();
  if (store === undefined) return;
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

/** The work fails with a KeysteadError of this code. */
export async function failsWith(code: ErrorCode, work: () => Promise<unknown>, message = /./): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Error);
    assert.equal("code" in error ? error.code : undefined, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}
