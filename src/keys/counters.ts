import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";

/** Which counter: `datasetId` is empty for seals and opens outside datasets. */
export interface CounterKey {
  readonly keyId: string;
  readonly version: number;
  readonly datasetId: string;
}

/** What to add to a counter; instants count when they are later than the stored ones. */
export interface CounterChange {
  readonly seals?: number;
  readonly opens?: number;
  readonly refusals?: number;
  readonly lastOpenedAt?: number;
  readonly lastRefusedAt?: number;
}

/** Adds to a counter inside a transaction and returns it. */
export async function addToCounter(tables: StoreTables, key: CounterKey, change: CounterChange): Promise<StoredRecord<"counters">> {
  const { keyId, version, datasetId } = key;
  const row = await tables.counters.get({ keyId, version, datasetId });
  const next = {
    keyId,
    version,
    datasetId,
    seals: Math.max(0, (row?.seals ?? 0) + (change.seals ?? 0)),
    opens: (row?.opens ?? 0) + (change.opens ?? 0),
    refusals: (row?.refusals ?? 0) + (change.refusals ?? 0),
    lastOpenedAt: latest(change.lastOpenedAt, row?.lastOpenedAt),
    lastRefusedAt: latest(change.lastRefusedAt, row?.lastRefusedAt),
  };
  return row === undefined ? tables.counters.insert(next) : tables.counters.update({ ...next, rowVersion: row.rowVersion });
}

/** Processes write what they counted minutes apart: the one that writes last did not see the latest. */
function latest(a: number | undefined, b: number | null | undefined): number | null {
  return a === undefined ? (b ?? null) : Math.max(a, b ?? a);
}
