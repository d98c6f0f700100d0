import { findAlgorithm } from "../crypto/algorithms.ts";
import type { KeyFact, KeyFacts } from "../observer.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import type { Engine } from "./engine.ts";
import { eachKey } from "./each-key.ts";
import { day } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";

/** Keys that are looked at. */
const mostKeys = 10_000;

/**
 * What is to be known of the store's keys to look after them: the first 10,000 by name.
 * @throws what the store says
 */
export async function readKeyFacts({ store, clock }: Pick<Engine, "store" | "clock">): Promise<KeyFacts> {
  const rows = await store.read((tables) => tables.keys.list());
  const looked = rows.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, mostKeys);
  const keys = await eachKey(store, looked, (tables, row) => factOf(tables, row, clock.now()));
  return { keys, total: rows.length };
}

async function factOf(tables: StoreTables, key: StoredRecord<"keys">, now: number): Promise<KeyFact> {
  const versions = await tables.versions.list({ keyId: key.id });
  const current = versions.find(({ version }) => version === key.currentVersion);
  const pending = versions.filter((row) => describeVersion(row).phase === "destruction-pending");
  const limit = limitOf(key.algorithm);
  const counters = pending.length > 0 || limit !== undefined ? await tables.counters.list({ keyId: key.id }) : [];
  const sealed = counters.filter(({ version }) => version === key.currentVersion).reduce((sum, { seals }) => sum + seals, 0);
  return {
    name: key.name,
    ...(current !== undefined && { age: now - current.createdAt }),
    ...(current !== undefined && key.rotationDays !== null && { toRotation: current.createdAt + key.rotationDays * day - now }),
    ...(current !== undefined && limit !== undefined && { budget: { left: Math.max(0, limit - sealed), limit } }),
    pending: pending.length,
    attempts: pending.reduce((sum, row) => sum + attemptsOn(row, counters), 0),
  };
}

/** Attempts to open count as a whole, so those on a version that nobody has tried since it waits are left out. */
function attemptsOn({ version, stateAt }: StoredRecord<"versions">, counters: readonly StoredRecord<"counters">[]): number {
  const tried = counters.filter((row) => row.version === version && row.lastRefusedAt !== null && row.lastRefusedAt > stateAt);
  return tried.reduce((sum, { refusals }) => sum + refusals, 0);
}

function limitOf(name: string): number | undefined {
  const { messageLimit } = { messageLimit: undefined, ...findAlgorithm(name) };
  return messageLimit;
}
