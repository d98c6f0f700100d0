import type { AuditLineRow, AuditStore, CheckpointRow } from "./audit-store.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { linesBackwards, storedWriters } from "./pages.ts";

/** A record as it was written, parsed; of a line that is no record any more, only its place. */
export type AuditRecordView = Readonly<Record<string, unknown>>;

/** Where reading from the newest record on begins. */
export interface NewestPoint {
  /** Hash of the newest checkpoint; empty when there is none. */
  readonly checkpoint: string;
  /** Writers that may have records which no checkpoint covers. */
  readonly writers: readonly string[];
}

/** A record and its time, in milliseconds since 1970. */
export interface TimedRecord {
  readonly time: number;
  readonly record: AuditRecordView;
}

function parseView({ writer, sequence, line }: AuditLineRow): AuditRecordView {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(line).toString("utf8"));
    if (typeof parsed === "object" && parsed !== null) return { ...parsed };
  } catch {
    // Verification names it; whoever reads wants to see the others nevertheless.
  }
  return { writer, sequence };
}

/** One writer's records from the last to the first. One without a time stays beside its neighbour. */
async function* readBackwards(store: AuditStore, writer: string): AsyncGenerator<TimedRecord> {
  let time = Number.POSITIVE_INFINITY;
  for await (const row of linesBackwards(store, writer)) {
    const record = parseView(row);
    const own = Date.parse(String(record["time"]));
    if (!Number.isNaN(own)) time = own;
    yield { time, record };
  }
}

interface Tail {
  readonly rest: AsyncGenerator<TimedRecord>;
  first: TimedRecord;
}

/** The writers that were met on the way back, and where each of them stands. */
class Tails {
  readonly #store: AuditStore;
  readonly #met = new Set<string>();
  #tails: Tail[] = [];

  constructor(store: AuditStore) {
    this.#store = store;
  }

  /** Time of the newest record that was not taken; undefined when there is none. */
  get newest(): number | undefined {
    return this.#latest()?.first.time;
  }

  async meet(writer: string): Promise<void> {
    if (this.#met.has(writer)) return;
    this.#met.add(writer);
    const rest = readBackwards(this.#store, writer);
    const result = await rest.next();
    if (result.done !== true) this.#tails.push({ rest, first: result.value });
  }

  /** Takes the newest record. */
  async take(): Promise<TimedRecord | undefined> {
    const tail = this.#latest();
    if (tail === undefined) return undefined;
    const { first } = tail;
    const result = await tail.rest.next();
    if (result.done === true) this.#tails = this.#tails.filter((other) => other !== tail);
    else tail.first = result.value;
    return first;
  }

  #latest(): Tail | undefined {
    let latest: Tail | undefined;
    for (const tail of this.#tails) if (latest === undefined || tail.first.time > latest.first.time) latest = tail;
    return latest;
  }
}

/** The checkpoints of a store from the newest to the first, as far as they hang together. */
class CheckpointsBackwards {
  readonly #store: AuditStore;
  readonly #seen = new Set<string>();
  #next: CheckpointRow | undefined;
  #broken = false;

  constructor(store: AuditStore) {
    this.#store = store;
  }

  /** The checkpoint to come; undefined behind the first. */
  get next(): CheckpointRow | undefined {
    return this.#next;
  }

  /** True when the way ended before the first checkpoint, or there was none to begin with. */
  get broken(): boolean {
    return this.#broken;
  }

  async goTo(hash: string): Promise<void> {
    const isNew = !this.#seen.has(hash);
    this.#seen.add(hash);
    this.#next = isNew ? await this.#store.read((tables) => tables.checkpoints.get({ hash })) : undefined;
    this.#broken = this.#next === undefined;
  }

  async advance(): Promise<void> {
    const previous = this.#next?.previous ?? "";
    if (previous === "") this.#next = undefined;
    else await this.goTo(previous);
  }
}

/**
 * The records of a store from the newest to the oldest, as far as the clocks of their writers agree. Reads no more than it is
 * asked for: a checkpoint names the writers that wrote before it was taken, so older ones need not be looked at yet.
 */
export async function* newestRecords(store: AuditStore, from: NewestPoint): AsyncGenerator<TimedRecord> {
  const tails = new Tails(store);
  for (const writer of from.writers) await tails.meet(writer);
  const checkpoints = new CheckpointsBackwards(store);
  const meetAll = async (): Promise<void> => {
    for await (const { writer } of storedWriters(store)) await tails.meet(writer);
  };
  await checkpoints.goTo(from.checkpoint);
  if (checkpoints.broken) await meetAll();
  for (;;) {
    const { next } = checkpoints;
    if (next !== undefined && next.takenAt >= (tails.newest ?? Number.NEGATIVE_INFINITY)) {
      for (const { writer } of parseCheckpoint(next.body)?.positions ?? []) await tails.meet(writer);
      await checkpoints.advance();
      if (checkpoints.broken) await meetAll();
      continue;
    }
    const record = await tails.take();
    if (record === undefined) return;
    yield record;
  }
}
