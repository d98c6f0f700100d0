import type { KeysteadError } from "../errors.ts";
import type { CanonicalType } from "../fields/canonical-text.ts";

/**
 * A value as the database stores it, with its storage type, so that nothing is lost or normalised on the way.
 * Text is carried as its bytes: a text column may hold invalid UTF-8.
 */
export type Cell =
  | { readonly type: "null" }
  | { readonly type: "text"; readonly bytes: Uint8Array }
  | { readonly type: "integer"; readonly value: bigint }
  | { readonly type: "real"; readonly value: number }
  | { readonly type: "blob"; readonly bytes: Uint8Array };

/** Where a job stands in a table; opaque to everyone but the source that made it. JSON text. */
export type Cursor = string;

/** The physical columns that a dataset touches. All names are as the database spells them. */
export interface SourceLayout {
  readonly table: string;
  /** Identify a row to people and in contexts; together unique and never null. */
  readonly keyColumns: readonly string[];
  /** Hold ciphertext. */
  readonly valueColumns: readonly string[];
  /** Characters of the name of the key of each value column; any length when absent. */
  readonly keyNameLengths?: Readonly<Record<string, number>>;
  /** Bound into contexts beside the key columns. */
  readonly contextColumns: readonly string[];
  /** Hold blind-index tokens. */
  readonly indexColumns: readonly string[];
  /** Hold plaintext of which a value column takes the place. Of any type; nothing but NULL is written to them. None when absent. */
  readonly plaintextColumns?: readonly string[];
}

/** What the declaration of a column says about the text of its values in contexts. */
export interface DeclaredType {
  /** As the database spells it, for people; empty when there is none. */
  readonly declared: string;
  /**
   * The type by which `canonicalText()` writes the cells of this column. Truth values are integers, 0 and 1; decimals, uuids, dates and
   * instants with their zone are text. Undefined for floating point, and where more than one type could be meant.
   */
  readonly canonical: CanonicalType | undefined;
}

/** What a source found when it looked at its table. */
export interface SourceDescription {
  /** `text` or `binary`: the ciphertext form that each value column can hold. */
  readonly forms: Readonly<Record<string, "text" | "binary">>;
  /** Of every key, context and plaintext column. */
  readonly types: Readonly<Record<string, DeclaredType>>;
  /** Plaintext columns that can't be NULL. None when absent. */
  readonly required?: readonly string[];
  /** Rows, at this moment; about, where there are so many that counting them would take long. */
  readonly rows: number;
  /** For people: statements that would make the work faster, and what to know about the table before it begins. */
  readonly advice: readonly string[];
}

/** One row of a page. `cells` has every column of the layout. */
export interface SourceRow {
  /** Finds the row again for {@link DatasetSource.replace}; opaque. */
  readonly locator: Cell[];
  readonly cells: Readonly<Record<string, Cell>>;
}

/** A page in key order. `next` is undefined after the last row. */
export interface SourcePage {
  readonly rows: readonly SourceRow[];
  readonly next: Cursor | undefined;
}

/** Compare-and-set of one row: applied only while every column of `expected` still holds exactly that cell. */
export interface RowReplacement {
  readonly locator: Cell[];
  readonly expected: Readonly<Record<string, Cell>>;
  readonly set: Readonly<Record<string, Cell>>;
}

/**
 * What became of a {@link RowReplacement}: `changed` = the row holds something else now, or is gone; `error` = the database
 * refuses the new value (a constraint, a trigger, a column that would store something else), which does not stop the others.
 */
export type ReplaceOutcome = "replaced" | "changed" | { readonly error: KeysteadError };

/** How many values of a column carry a header. Counted by the database, without opening anything. */
export interface HeaderCount {
  readonly column: string;
  /**
   * `null` = SQL NULL; `plaintext` = does not parse as ciphertext; `ciphertext` = parses strictly, with `key` and `label`: text in the
   * text form, bytes in the binary form or as a stream (docs/format.md, "Ciphertext").
   */
  readonly kind: "null" | "plaintext" | "ciphertext";
  readonly key?: string;
  /** Version label, `3-k7f2qd`. */
  readonly label?: string;
  readonly count: number;
}

/** How many tokens of an index column belong to a generation (null = no token; -1 = malformed). */
export interface GenerationCount {
  readonly column: string;
  readonly generation: number | null;
  readonly count: number;
}

/** A column of plaintext, and the value column that takes its place. */
export interface ShadowedColumn {
  readonly plaintext: string;
  readonly column: string;
}

/** Tokens of which a row that is sought has one, in one index column. */
export interface TokenSearch {
  readonly column: string;
  readonly tokens: readonly string[];
}

/**
 * A table that holds protected data. Implementations hold no keys and know no formats beyond the ciphertext header.
 * Errors: `DATABASE_FAILED` with the cause; `DATASET_UNSUITABLE` when the table can't be worked on safely.
 */
export interface DatasetSource {
  /** Looks at the table; refuses missing columns, views, tables without the named unique key, unfit column types. */
  describe(): Promise<SourceDescription>;
  /** The census: one pass over the value columns, under binary collation. */
  countHeaders(signal?: AbortSignal): Promise<HeaderCount[]>;
  countGenerations(signal?: AbortSignal): Promise<GenerationCount[]>;
  /**
   * Rows after the cursor, in a stable total order that covers every row: at most `limit`, fewer when they are very large.
   * @param until the last place that is read: behind the row it was made of, whether that is still there or not
   * @throws KeysteadError `INVALID_ARGUMENT` for a cursor of another table.
   */
  readPage(cursor: Cursor | undefined, limit: number, until?: Cursor): Promise<SourcePage>;
  /**
   * The place that so many rows after the cursor are before, undefined where fewer are left: divides a table among workers.
   * @throws KeysteadError `INVALID_ARGUMENT` for a cursor of another table.
   */
  skip(cursor: Cursor | undefined, rows: number): Promise<Cursor | undefined>;
  /** All in one short transaction; one outcome per replacement, in order. */
  replace(rows: readonly RowReplacement[]): Promise<ReplaceOutcome[]>;
  /**
   * Rows in which one of these columns at least equals one of its tokens, each row once, in pages as those of {@link readPage}.
   * @throws KeysteadError `INVALID_ARGUMENT` for a cursor of another table and for a column that holds no tokens.
   */
  findByTokens(searches: readonly TokenSearch[], cursor: Cursor | undefined, limit: number): Promise<SourcePage>;
  /**
   * The cells of these columns of the layout, row by row in key order and read in pages, of at most `limit` rows: input of the
   * index planner, which counts how often each value occurs.
   */
  readValues(columns: readonly string[], limit: number): AsyncIterable<readonly Cell[]>;
  /**
   * How many rows have plaintext and no ciphertext beside it, for each of these columns. Needed by datasets with plaintext columns: a
   * source without it can't have any.
   */
  countUncovered?(columns: readonly ShadowedColumn[], signal?: AbortSignal): Promise<readonly number[]>;
  /**
   * Where the database may still have what these columns of the layout held before it was replaced, and what takes it away: for people.
   * A source that has nothing to say of it may lack this.
   */
  describeRemains?(columns: readonly string[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Opens sources of one kind of database, by the URL that the local configuration gives the database's name. */
export interface DatasetSourceProvider {
  /** URL scheme, for example `sqlite`. */
  readonly scheme: string;
  open(url: string, layout: SourceLayout): Promise<DatasetSource>;
}
