import { hash } from "node:crypto";
import { KeysteadError } from "../errors.ts";

/** How many values occur how often: `count` rows each, `values` of them. */
export interface Frequency {
  readonly count: number;
  readonly values: number;
}

/** What the index planner knows of a column. */
export interface FrequencyTable {
  /** Rows seen, those without a value included. */
  readonly rows: number;
  /** Rows that have something to index. */
  readonly indexedRows: number;
  /** Most frequent first. */
  readonly frequencies: readonly Frequency[];
  /** False when there were too many distinct values to keep all: then the frequencies are an estimate. */
  readonly exact: boolean;
}

/** Distinct values that are kept by default. */
const defaultLimit = 2 ** 18;

/** A 64th of what is kept for the sample is kept for frequent values beside it. */
const frequentShare = 64;

/**
 * Counts how often values occur, in bounded memory: whatever the number and length of values, it keeps at most `limit` of
 * them, as 16 bytes of their SHA-256 and a count (about 16 MB by default), never the values.
 *
 * Up to `limit` distinct values the counts are exact. Beyond, it keeps the values whose hash begins with k zero bits, with
 * exact counts, and lets each stand for 2^k (distinct sampling, Gibbons 2001); what such a sample may miss, the frequent
 * values, a Misra-Gries summary keeps, with counts too large by at most rows ÷ (limit ÷ 64). The result depends on the values
 * and their order alone.
 */
export class ValueFrequencies {
  readonly #limit: number;
  readonly #sample = new Map<string, number>();
  readonly #frequent = new Map<string, number>();
  #level = 0;
  #rows = 0;
  #indexedRows = 0;
  /** What was taken off every count in `#frequent` so far. */
  #taken = 0;

  /** @throws KeysteadError `INVALID_ARGUMENT` for a limit that is no whole number from 1. */
  constructor(limit: number = defaultLimit) {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new KeysteadError("INVALID_ARGUMENT", "the limit of distinct values is a whole number from 1: pass one, or none");
    }
    this.#limit = limit;
  }

  /**
   * Counts rows.
   *
   * @param value - What their token would be made of; `undefined` when they get none.
   * @param count - How many rows, a whole number.
   */
  add(value: string | readonly string[] | undefined, count = 1): void {
    this.#rows += count;
    if (value === undefined) return;
    this.#indexedRows += count;
    const digest = hash("sha256", typeof value === "string" ? value : JSON.stringify(value), "buffer");
    const key = digest.toString("latin1", 0, 16);
    if (this.#level > 0) this.#noteFrequent(key, count);
    if (Math.clz32(digest.readUInt32BE(0)) < this.#level) return;
    this.#sample.set(key, (this.#sample.get(key) ?? 0) + count);
    if (this.#sample.size > this.#limit) this.#thin();
  }

  /** What was counted so far. */
  table(): FrequencyTable {
    const scale = 2 ** this.#level;
    const values = new Map<number, number>();
    const record = (count: number, weight: number): void => {
      values.set(count, (values.get(count) ?? 0) + weight);
    };
    for (const [key, count] of this.#sample) record(count, this.#isFrequent(key) ? 1 : scale);
    for (const [key, count] of this.#frequent) {
      if (this.#isFrequent(key) && !this.#sample.has(key)) record(count + this.#taken, 1);
    }
    return {
      rows: this.#rows,
      indexedRows: this.#indexedRows,
      frequencies: Array.from(values, ([count, weight]) => ({ count, values: weight })).sort((a, b) => b.count - a.count),
      exact: this.#level === 0,
    };
  }

  /** Frequent for sure: more of its count is known than may have been taken off. */
  #isFrequent(key: string): boolean {
    return (this.#frequent.get(key) ?? 0) > this.#taken;
  }

  #thin(): void {
    if (this.#level === 0) for (const [key, count] of this.#sample) this.#noteFrequent(key, count);
    while (this.#sample.size > this.#limit) {
      this.#level += 1;
      for (const key of this.#sample.keys()) {
        if (Math.clz32(Buffer.from(key.slice(0, 4), "latin1").readUInt32BE(0)) < this.#level) this.#sample.delete(key);
      }
    }
  }

  #noteFrequent(key: string, count: number): void {
    this.#frequent.set(key, (this.#frequent.get(key) ?? 0) + count);
    if (this.#frequent.size <= Math.max(1, Math.floor(this.#limit / frequentShare))) return;
    const least = Math.min(...this.#frequent.values());
    this.#taken += least;
    for (const [kept, kepts] of this.#frequent) {
      if (kepts > least) this.#frequent.set(kept, kepts - least);
      else this.#frequent.delete(kept);
    }
  }
}

/** Counts the values of a column, one item for each row. */
export async function countValues(
  rows: AsyncIterable<string | readonly string[] | undefined> | Iterable<string | readonly string[] | undefined>,
  limit?: number,
): Promise<FrequencyTable> {
  const frequencies = new ValueFrequencies(limit);
  for await (const value of rows) frequencies.add(value);
  return frequencies.table();
}
