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
  readonly sequence: number;
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
async function* readBackwards(store: AuditStore, writer: string, last?: number): AsyncGenerator<TimedRecord> {
  let time = Number.POSITIVE_INFINITY;
  for await (const row of linesBackwards(store, writer, last)) {
    const record = parseView(row);
    const own = Date.parse(String(record["time"]));
    if (!Number.isNaN(own)) time = own;
    yield { time, sequence: row.sequence, record };
  }
}

interface Tail {
  readonly writer: string;
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

  /** Where each writer stands that has records left: its next one. */
  get open(): [writer: string, sequence: number][] {
    return this.#tails.map(({ writer, first }) => [writer, first.sequence]);
  }

  /** @param last number of its newest record that is wanted; absent: all are */
  async meet(writer: string, last?: number): Promise<void> {
    if (this.#met.has(writer)) return;
    this.#met.add(writer);
    const rest = readBackwards(this.#store, writer, last);
    const result = await rest.next();
    if (result.done !== true) this.#tails.push({ writer, rest, first: result.value });
  }

  /** Passes over a writer whose records were all taken before a cursor: the first of them is not older than what was taken last. */
  async meetBehind(writer: string, time: number): Promise<void> {
    if (this.#met.has(writer)) return;
    const [first] = await this.#store.read((tables) => tables.auditLines.list({ writer }, { limit: 1 }));
    if (first !== undefined && Date.parse(String(parseView(first)["time"])) >= time) this.#met.add(writer);
    else await this.meet(writer);
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

/** Where a reading goes on. */
export interface RecordCursor {
  /** Hash of the checkpoint to come; empty when there is none any more. */
  readonly checkpoint: string;
  /** Next record of each writer that was met and has records left. */
  readonly open: readonly (readonly [writer: string, sequence: number])[];
  /** Time of the record that was taken last. */
  readonly time: number;
}

/**
 * Reads the records of a store from the newest to the oldest, as far as the clocks of their writers agree. Reads no more than it is
 * asked for: a checkpoint names the writers that wrote before it was taken, so older ones need not be looked at yet.
 */
export class NewestRecords {
  readonly #store: AuditStore;
  readonly #tails: Tails;
  readonly #checkpoints: CheckpointsBackwards;
  /** Time of the last record that was taken before the cursor. */
  #behind: number | undefined;
  #time = Number.POSITIVE_INFINITY;

  private constructor(store: AuditStore) {
    this.#store = store;
    this.#tails = new Tails(store);
    this.#checkpoints = new CheckpointsBackwards(store);
  }

  /** Begins with the newest record. */
  static async from(store: AuditStore, { checkpoint, writers }: NewestPoint): Promise<NewestRecords> {
    const records = new NewestRecords(store);
    for (const writer of writers) await records.#tails.meet(writer);
    await records.#checkpoints.goTo(checkpoint);
    if (records.#checkpoints.broken) await records.#meetAll();
    return records;
  }

  /** Goes on behind what was taken before. */
  static async behind(store: AuditStore, { checkpoint, open, time }: RecordCursor): Promise<NewestRecords> {
    const records = new NewestRecords(store);
    records.#behind = time;
    records.#time = time;
    for (const [writer, sequence] of open) await records.#tails.meet(writer, sequence);
    if (checkpoint !== "") await records.#checkpoints.goTo(checkpoint);
    if (checkpoint !== "" && records.#checkpoints.broken) await records.#meetAll();
    return records;
  }

  /** Where reading goes on behind the last record that was taken. */
  get cursor(): RecordCursor {
    return { checkpoint: this.#checkpoints.next?.hash ?? "", open: this.#tails.open, time: this.#time };
  }

  /** The next record; undefined behind the oldest. */
  async next(): Promise<TimedRecord | undefined> {
    for (;;) {
      const { next } = this.#checkpoints;
      if (next === undefined || next.takenAt < (this.#tails.newest ?? Number.NEGATIVE_INFINITY)) break;
      for (const { writer } of parseCheckpoint(next.body)?.positions ?? []) await this.#meet(writer);
      await this.#checkpoints.advance();
      if (this.#checkpoints.broken) await this.#meetAll();
    }
    const record = await this.#tails.take();
    if (record !== undefined) this.#time = record.time;
    return record;
  }

  async #meetAll(): Promise<void> {
    for await (const { writer } of storedWriters(this.#store)) await this.#meet(writer);
  }

  async #meet(writer: string): Promise<void> {
    if (this.#behind === undefined) await this.#tails.meet(writer);
    else await this.#tails.meetBehind(writer, this.#behind);
  }
}

/** All that {@link NewestRecords} reads. */
export async function* newestRecords(store: AuditStore, from: NewestPoint): AsyncGenerator<TimedRecord> {
  const records = await NewestRecords.from(store, from);
  for (let record = await records.next(); record !== undefined; record = await records.next()) yield record;
}
