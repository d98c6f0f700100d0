import { maxLineLength } from "../audit/record.ts";
import { isContextPair, limits } from "../audit/record-check.ts";
import type { Context } from "../crypto/context.ts";
import type { ActOutcome, ItemOutcomes } from "../observer.ts";

/** Items that one record tells of at most: a thousand digests with error codes, and a context, would not go into a line. */
const mostPlaces = 500;

/** What a line has room for beside digests and context: everything else that a record says, its reason among it. */
const otherBytes = 8_192;
/** A digest, the longest error code and what is between them. */
const bytesPerPlace = 80;
/** What a UTF-16 unit takes in JSON at most: `\u0001`. */
const bytesPerUnit = 6;

/** What a record tells of an item of a batch. */
export interface BatchEntry {
  /** What was asked for. */
  readonly action: string;
  /** Name of its key; absent where it needs none, or what it named can be no key's name. */
  readonly key?: string | undefined;
  /** Where it named a purpose that leads to no key. */
  readonly purpose?: string | undefined;
  /** Label of the version that it used, or that its ciphertext names. */
  readonly version?: string | undefined;
  readonly context?: Context | undefined;
  readonly dataset?: string | undefined;
  /** Name of another key to which it was to be moved. */
  readonly to?: string | undefined;
  /** Label of the version under which it is now, where it was moved. */
  readonly toVersion?: string | undefined;
  readonly outcome: ActOutcome;
}

/** Items of a batch that one record tells of. */
export interface BatchGroup {
  /** What was asked for; undefined in the one group of a batch without items. */
  readonly action: string | undefined;
  /** Their places in the batch, in order. */
  readonly places: readonly number[];
  readonly outcomes: ItemOutcomes;
  /** What all of them share. */
  readonly shared: Omit<BatchEntry, "action" | "outcome">;
}

/**
 * The items of a batch by what its records tell of them: a group for each action, each key, each key to which items of it were to be moved, and each outcome,
 * so that whoever looks for an action, a key, or for what was denied, finds them as if each had come alone, and an item that fails takes nothing from what
 * is told of the others. More than 500 are told of in several records. A batch without items is one group.
 * @param isByContext true to tell of items with different contexts apart, too
 *
 * @example
 * groupBatch([{ action: "data.mac", key: "k", outcome: "allowed" }, { action: "data.mac", key: "k", outcome: "denied" }]); // two groups
 */
export function groupBatch(entries: readonly BatchEntry[], isByContext = false): readonly BatchGroup[] {
  const all: number[][] = [];
  /** The last group of each name. */
  const groups = new Map<string, number[]>();
  let before: BatchEntry | undefined;
  let places: number[] = [];
  for (const [place, entry] of entries.entries()) {
    // Most items are told of together with the one before.
    if (before === undefined || places.length === mostPlaces || isByContext || !isToldWith(entry, before)) {
      const { action, key = "", purpose = "", to = "", outcome } = entry;
      // No name has a space in it.
      const name = `${outcome} ${action} ${key} ${purpose} ${to} ${isByContext ? contextText(entry) : ""}`;
      const found = groups.get(name);
      places = found === undefined || found.length === mostPlaces ? [] : found;
      if (places.length === 0) all.push(places);
      groups.set(name, places);
    }
    places.push(place);
    before = entry;
  }
  if (all.length === 0) all.push([]);
  return all.map((places) => groupOf(places, entries));
}

function isToldWith(a: BatchEntry, b: BatchEntry): boolean {
  return a.outcome === b.outcome && a.action === b.action && a.key === b.key && a.purpose === b.purpose && a.to === b.to;
}

/** The same for contexts with the same pairs, in whatever order. */
function contextText({ context = {} }: BatchEntry): string {
  return JSON.stringify(Object.entries(context).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function groupOf(places: readonly number[], entries: readonly BatchEntry[]): BatchGroup {
  const members = places.map((place) => entries[place]).filter((entry) => entry !== undefined);
  const [{ key, purpose, to, toVersion, version, dataset, context } = {}] = members;
  const shared = {
    ...(key !== undefined && { key }),
    ...(purpose !== undefined && { purpose }),
    ...(to !== undefined && { to }),
    ...(toVersion !== undefined && members.every((entry) => entry.toVersion === toVersion) && { toVersion }),
    ...(version !== undefined && members.every((entry) => entry.version === version) && { version }),
    ...(dataset !== undefined && members.every((entry) => entry.dataset === dataset) && { dataset }),
    ...(context !== undefined && sharedContext(context, members)),
  };
  return { action: members[0]?.action, places, outcomes: countOutcomes(members), shared };
}

/** The pairs that all have; what no record can hold is not told, nor are those for which it has no room. */
function sharedContext(first: Context, members: readonly BatchEntry[]): { readonly context?: Context } {
  let room = (maxLineLength - otherBytes - bytesPerPlace * members.length) / bytesPerUnit;
  const pairs = Object.entries(first).filter(([name, value]) => {
    if (!isContextPair(name, value)) return false;
    if (!members.every(({ context }) => context !== undefined && Object.hasOwn(context, name) && context[name] === value)) return false;
    room -= name.length + value.length + '"":"",'.length;
    return room >= 0;
  });
  return pairs.length === 0 ? {} : { context: Object.fromEntries(pairs.slice(0, limits.pairs)) };
}

/** How many entries ended how. */
export function countOutcomes(entries: readonly Pick<BatchEntry, "outcome">[]): ItemOutcomes {
  const counts = { allowed: 0, denied: 0, failed: 0 };
  for (const { outcome } of entries) counts[outcome]++;
  return counts;
}
