import type { StoreTables } from "../store/store.ts";
import type { NewRecord } from "../store/tables.ts";
import { storedColumns } from "./column-census.ts";

/** What the history needs to know of a census of one dataset. */
interface PastCensus {
  readonly takenAt: number;
  /** Names of the versions of which it counted values. */
  readonly held: ReadonlySet<string>;
}

/** A version as the history names it, `pii:3-k7f2qd`. */
export function versionName(key: string, label: string): string {
  return `${key}:${label}`;
}

/** A stored census; its MAC was checked on load. */
function pastCensus({ takenAt, counts }: Pick<NewRecord<"censuses">, "takenAt" | "counts">): PastCensus {
  const counted = storedColumns(counts).flatMap(({ versions }) => versions.filter(({ count }) => count > 0));
  return { takenAt, held: new Set(counted.map(({ key, version }) => versionName(key, version))) };
}

/** The first census that counted nothing of a version, of those since which none has counted anything. */
function firstZero<C extends PastCensus>(history: readonly C[], version: string): C | undefined {
  const lastHeldAt = lastHeld(history, version)?.takenAt ?? Number.NEGATIVE_INFINITY;
  return earliest(history.filter(({ takenAt, held }) => takenAt >= lastHeldAt && !held.has(version)));
}

/**
 * The censuses without which {@link firstZero} would answer differently, now or after further ones: of each version the last
 * that counted it and the first that did not since, and the oldest of all for versions to come. When the clock was put back,
 * what is left may answer with a later census than all would, never with an earlier one.
 * @param versions those that may still be asked about
 */
function neededCensuses<C extends PastCensus>(history: readonly C[], versions: Iterable<string>): Set<C> {
  const needed = [earliest(history)];
  for (const version of versions) needed.push(lastHeld(history, version), firstZero(history, version));
  return new Set(needed.filter((census) => census !== undefined));
}

/**
 * Since when every dataset's censuses have counted nothing of a version, without a break; null when there is no census. While
 * one counts more, and when the clock was put back since one did, that is now.
 */
export async function readZeroSince(tables: StoreTables, version: string, now: number): Promise<number | null> {
  const histories = Map.groupBy(await tables.censuses.list(), ({ datasetId }) => datasetId);
  const since = [...histories.values()].map((rows) => Math.min(now, firstZero(rows.map(pastCensus), version)?.takenAt ?? now));
  return since.length === 0 ? null : Math.max(...since);
}

/**
 * Keeps a census, and of the dataset's earlier ones those that the destroy gate needs: every row is checked whenever the store
 * is opened.
 * @param versions those that are not destroyed
 */
export async function keepCensus(tables: StoreTables, census: NewRecord<"censuses">, versions: Iterable<string>): Promise<void> {
  await tables.censuses.insert(census);
  const rows = await tables.censuses.list({ datasetId: census.datasetId });
  const history = rows.map((row) => ({ row, ...pastCensus(row) }));
  const needed = neededCensuses(history, versions);
  for (const entry of history) if (!needed.has(entry) && entry.row.id !== census.id) await tables.censuses.remove(entry.row);
}

function lastHeld<C extends PastCensus>(history: readonly C[], version: string): C | undefined {
  return latest(history.filter(({ held }) => held.has(version)));
}

function earliest<C extends PastCensus>(history: readonly C[]): C | undefined {
  return history.reduce<C | undefined>(
    (first, census) => (first === undefined || census.takenAt < first.takenAt ? census : first),
    undefined,
  );
}

function latest<C extends PastCensus>(history: readonly C[]): C | undefined {
  return history.reduce<C | undefined>((last, census) => (last === undefined || census.takenAt >= last.takenAt ? census : last), undefined);
}
