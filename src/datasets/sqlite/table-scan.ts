import type { SQLOutputValue } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { KeysteadError } from "../../errors.ts";
import type { Cell } from "../source.ts";
import { quoteIdentifier, quoteTable } from "./identifier.ts";
import type { RowLocator, RowRange } from "./row-locator.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { schemaVersion } from "./table-facts.ts";

/** Counts the values of one column. */
export interface ValueCounter {
  /** Name of the column. */
  readonly column: string;
  /**
   * SQL of as much of a value as counting needs: NULL, a number for what needs no look, a short text or blob, or {@link large} for a
   * value that is better looked at alone.
   */
  readonly expression: string;
  /** Takes a value of the expression, or the whole of a large one. */
  count(value: SQLOutputValue): void;
}

/** SQL of what an expression gives for a value that is larger than a page of them should be. */
export const large = "1";

const chunkRows = 1_000;

/**
 * Counts over a whole table in chunks of the key order, between which the rest of the process gets its turn. With a write-ahead
 * log all chunks see one snapshot, which keeps nobody from writing. Without one, a reader would keep writers out, so each chunk
 * is a transaction of its own; a row is missed only if its key moves meanwhile from a part not yet seen into one already seen.
 */
export class TableScan {
  readonly #connection: SqliteConnection;
  readonly #table: string;
  readonly #locator: RowLocator;
  readonly #schemaVersion: bigint;

  /** The connection is used for nothing else while the scan runs. The locator belongs to this version of the schema. */
  constructor(connection: SqliteConnection, table: string, locator: RowLocator, version: bigint) {
    this.#connection = connection;
    this.#table = quoteTable(table);
    this.#locator = locator;
    this.#schemaVersion = version;
  }

  /**
   * Hands every row to the counters. False when the schema changed meanwhile, and the counts are worth nothing: rows may be found in
   * another way now, or have other rowids (VACUUM counts as a change, too).
   * @throws KeysteadError `CANCELLED` by the signal.
   */
  async run(counters: readonly ValueCounter[], signal?: AbortSignal): Promise<boolean> {
    const connection = this.#connection;
    const snapshot = await connection.attempt(() => connection.first("PRAGMA main.journal_mode")?.[0] === "wal");
    if (snapshot) connection.begin("DEFERRED");
    try {
      let pending = this.#locator.rangesAfter(undefined);
      for (let range = pending.shift(); range !== undefined; range = pending.shift()) {
        if (signal?.aborted === true)
          throw new KeysteadError("CANCELLED", "counting was cancelled: run it again", { cause: signal.reason });
        const current = range;
        // Reading the version comes first because it may find the database locked, and nothing must be counted twice.
        const chunk = (): Chunk => (schemaVersion(connection) === this.#schemaVersion ? this.#chunk(counters, current) : "schema changed");
        const end = await connection.attempt(() => (snapshot ? chunk() : connection.transaction("DEFERRED", chunk)));
        if (end === "schema changed") return false;
        if (end !== "end of range") pending = this.#locator.rangesAfter(end);
        await nextTurn();
      }
      return true;
    } finally {
      connection.rollback();
    }
  }

  /** Counts the first rows of a range, and says how far it came. */
  #chunk(counters: readonly ValueCounter[], range: RowRange): Chunk {
    const { order, place } = this.#locator;
    const list = [...counters.map(({ expression }) => expression), place].join(", ");
    const clauses = `FROM ${this.#table} WHERE ${range.where} ORDER BY ${order} LIMIT ${chunkRows}`;
    const rows = this.#connection.all(`SELECT ${list} ${clauses}`, ...range.parameters);
    for (const [index, counter] of counters.entries()) {
      let hasLarge = false;
      for (const row of rows) {
        const value = row[index] ?? null;
        if (value === 1n) hasLarge = true;
        else counter.count(value);
      }
      if (hasLarge) this.#countLarge(counter, clauses, range);
    }
    const last = rows.at(-1);
    return last === undefined || rows.length < chunkRows ? "end of range" : this.#locator.readPlace(last.slice(counters.length));
  }

  /** Counts the large values of a chunk, with one of them in memory at a time. */
  #countLarge(counter: ValueCounter, clauses: string, { parameters }: RowRange): void {
    const rows = `SELECT ${counter.expression} AS part, ${quoteIdentifier(counter.column)} AS whole ${clauses}`;
    for (const [value] of this.#connection.each(`SELECT whole FROM (${rows}) WHERE part = ${large}`, ...parameters))
      counter.count(value ?? null);
  }
}

type Chunk = readonly Cell[] | "schema changed" | "end of range";
