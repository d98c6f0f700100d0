import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { KeysteadError } from "../../errors.ts";
import { freeName, type NamedColumn } from "./column-names.ts";
import { TraitCounter } from "./column-traits.ts";
import type { SeenColumn } from "./index-choice.ts";
import type { SampleColumn, SampleRow, SampleValue, TableSource } from "./table-source.ts";

/** Rows between two looks at the world outside. */
const batchRows = 500;

/** What was put into the table. */
export interface FilledTable {
  readonly rows: number;
  /** Values in the columns that will be protected, NULL not counted. */
  readonly values: number;
  readonly columns: readonly SeenColumn[];
}

/** The application's side of the tour: an SQLite database with one table, as any program would make it. */
export class SampleDatabase {
  readonly #database: DatabaseSync;
  readonly #table: string;
  readonly #columns: readonly [SampleColumn, ...SampleColumn[]];
  #byKey: StatementSync | undefined;

  /** Makes the file and the table. */
  constructor(path: string, { table, columns }: Pick<TableSource, "table" | "columns">) {
    // Before SQLite makes it for everybody to read.
    closeSync(openSync(path, "wx", 0o600));
    this.#database = new DatabaseSync(path, { readBigInts: true, returnArrays: true });
    this.#table = quote(table);
    this.#columns = columns;
    const [key, ...others] = columns;
    const defined = [`${quote(key.name)} ${key.type} PRIMARY KEY NOT NULL`, ...others.map(({ name, type }) => `${quote(name)} ${type}`)];
    // A table with these three column names has no name left for its rowid.
    const names = new Set(columns.map(({ name }) => name.toLowerCase()));
    const hidden = ["rowid", "oid", "_rowid_"].every((name) => names.has(name)) ? " WITHOUT ROWID" : "";
    this.#database.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE ${this.#table} (${defined.join(", ")})${hidden}`,
    );
  }

  /**
   * Stores the rows and looks at their values.
   * @param pause called every few rows with their number
   * @throws KeysteadError `INVALID_ARGUMENT` naming the row whose key an earlier one has
   */
  async fill(rows: AsyncIterable<SampleRow>, pause: (rows: number) => Promise<void>): Promise<FilledTable> {
    const places = this.#columns.map(() => "?").join(", ");
    const insert = this.#database.prepare(`INSERT INTO ${this.#table} VALUES (${places}) ON CONFLICT DO NOTHING`);
    const counters = this.#columns.map((column) => ({ column, counter: new TraitCounter() }));
    let count = 0;
    this.#database.exec("BEGIN");
    for await (const row of rows) {
      count += 1;
      if (insert.run(...row).changes === 0n) throw repeatedKey(count);
      for (const [position, { counter }] of counters.entries()) counter.add(row[position] ?? null);
      if (count % batchRows === 0) await pause(count);
    }
    this.#database.exec("COMMIT");
    const seen = counters.map(({ column, counter }) => ({ column, traits: counter.traits }));
    const values = seen.reduce((sum, { column, traits }) => sum + (column.protect ? traits.filled : 0), 0);
    return { rows: count, values, columns: seen };
  }

  /** Adds a column for blind-index tokens, with an index of the database. Returns its name. */
  addIndexColumn(wanted: string, taken: readonly NamedColumn[]): string {
    const name = freeName(wanted, taken);
    const column = quote(name);
    this.#database.exec(
      `ALTER TABLE ${this.#table} ADD COLUMN ${column} TEXT; CREATE INDEX ${quote(`by ${name}`)} ON ${this.#table} (${column})`,
    );
    return name;
  }

  /** The key and other columns of all rows. */
  *scan(columns: readonly SampleColumn[]): Generator<SampleRow, void, undefined> {
    const [key] = this.#columns;
    const list = [key, ...columns].map(({ name }) => quote(name)).join(", ");
    for (const row of this.#database.prepare(`SELECT ${list} FROM ${this.#table}`).iterate()) yield asRow(row);
  }

  /** A row by its key, in the order of the columns. */
  row(key: SampleValue): SampleRow | undefined {
    const [first] = this.#columns;
    const list = this.#columns.map(({ name }) => quote(name)).join(", ");
    this.#byKey ??= this.#database.prepare(`SELECT ${list} FROM ${this.#table} WHERE ${quote(first.name)} = ?`);
    const row: unknown = this.#byKey.get(key);
    return row === undefined ? undefined : asRow(row);
  }

  /** True when a row has something in a column. */
  hasValue(key: SampleValue, column: string): boolean {
    const [first] = this.#columns;
    const condition = `${quote(first.name)} = ? AND ${quote(column)} IS NOT NULL`;
    return this.#database.prepare(`SELECT 1 FROM ${this.#table} WHERE ${condition}`).get(key) !== undefined;
  }

  /** Rows in the table now. */
  count(): number {
    const row: unknown = this.#database.prepare(`SELECT count(*) FROM ${this.#table}`).get();
    return Number(asRow(row)[0]);
  }

  close(): void {
    this.#byKey = undefined;
    if (this.#database.isOpen) this.#database.close();
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function repeatedKey(row: number): KeysteadError {
  return new KeysteadError(
    "INVALID_ARGUMENT",
    `row ${row} (the header not counted) has the key of an earlier row; the first column must identify each row`,
  );
}

function asRow(row: unknown): SampleValue[] {
  return Array.isArray(row) ? row.map(asValue) : [];
}

function asValue(value: SQLOutputValue): SampleValue {
  if (value === null || typeof value === "string" || typeof value === "bigint") return value;
  throw new KeysteadError("INTERNAL", "the sample table holds a value of a type that the tour never stores");
}
