import { setImmediate as nextTurn } from "node:timers/promises";
import { allowAll } from "../access/access-control.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { cellToKeyText } from "./cells.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import type { ProtectedColumn } from "./definition.ts";
import { DatasetKeys } from "./job-keys.ts";
import { keptProblems, type RowProblem } from "./job-progress.ts";
import { indexedValues } from "./row-indexes.ts";
import { type OpenedValue, RowOpener } from "./row-opener.ts";
import { rowProblem } from "./row-problem.ts";
import { SearchIndex } from "./search-index.ts";
import type { DatasetSource, SourceRow, TokenSearch } from "./source.ts";

const defaultLimit = 1000;
const largestLimit = 100_000;
const pageRows = 1000;

/** One value per column of an index. */
export type IndexSearch = readonly (string | number | bigint)[];

/** How a search is made. */
export interface FindOptions {
  /** Rows that are returned at most, 1–100,000; 1,000 when absent. */
  readonly limit?: number;
  /** Stops the search, which then throws `CANCELLED`. */
  readonly signal?: AbortSignal;
}

/** A row that a search found: the columns of the index were opened and hold what was searched for. Each of its values is read by `data.decrypt`. */
export interface FoundRow {
  /** Key columns, as text. */
  readonly row: Readonly<Record<string, string>>;
  /** Protected columns, by logical name; NULL is null. */
  readonly values: Readonly<Record<string, FieldValue | null>>;
  /**
   * The protected columns that are not among the values, each with the error code: because they don't open, or by `ACCESS_DENIED` because the
   * caller may not decrypt them.
   */
  readonly unopened: Readonly<Record<string, ErrorCode>>;
}

/**
 * What a search found.
 *
 * @example
 * const { rows, complete, unopenedRows, firstUnopened } = await keystead.datasets.find("crm.person", "email", ["anna@example.org"]);
 * if (!complete) console.warn(`${unopenedRows} rows may match, too`, firstUnopened);
 */
export interface FindResult {
  /** In key order. */
  readonly rows: readonly FoundRow[];
  /** True when these are all: there are none beyond the limit, and every row with a token that fits was opened and compared. */
  readonly complete: boolean;
  /** True when there are rows beyond the limit. */
  readonly more: boolean;
  /** Rows, up to where the limit was reached, with a token that fits, of which nobody knows whether they match: a value that is to be compared does not open. */
  readonly unopenedRows: number;
  /** The first 100 of them, each with the column that does not open and why. */
  readonly firstUnopened: readonly RowProblem[];
}

/** What was found, and what a record says of it. */
interface Finding {
  readonly result: FindResult;
  /** Name of the index's key. */
  readonly key: string;
  /** Label of the version that made the tokens. */
  readonly version: string;
  /** Columns that the caller may not decrypt in some row. */
  readonly withheld: readonly string[];
}

/** Searches a blind index: all rows with a token of a live generation are read, opened and compared. */
export async function findRows(
  engine: Engine,
  databases: Databases,
  dataset: Dataset,
  indexName: string,
  search: IndexSearch,
  { limit = defaultLimit, signal }: FindOptions,
): Promise<Finding> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > largestLimit) {
    throw new KeysteadError("INVALID_ARGUMENT", `a search returns 1 to ${String(largestLimit)} rows; give a limit in these bounds`);
  }
  const keys = new DatasetKeys(engine, dataset, { action: "datasets.find", opening: "open" });
  const source = await databases.open(dataset.definition.database, layoutOf(dataset.definition));
  try {
    const index = await openIndex(engine, dataset, indexName, search, keys);
    const found = new Search(engine, dataset, index, search, new RowOpener(dataset, keys));
    const result = await found.run(source, limit, signal);
    await index.assertUnchanged(engine);
    return { result, key: index.key, version: index.version, withheld: found.withheld };
  } finally {
    await keys.close();
    await source.close();
  }
}

/** Tokens, and what made them. */
export interface MadeTokens {
  readonly tokens: readonly TokenSearch[];
  /** Name of the index's key. */
  readonly key: string;
  /** Label of the version. */
  readonly version: string;
}

/** The tokens that rows with these values have. */
export async function searchTokens(engine: Engine, dataset: Dataset, indexName: string, search: IndexSearch): Promise<MadeTokens> {
  const keys = new DatasetKeys(engine, dataset, { action: "data.index", opening: "open" });
  try {
    const index = await openIndex(engine, dataset, indexName, search, keys);
    return { tokens: index.tokens(search), key: index.key, version: index.version };
  } finally {
    await keys.close();
  }
}

async function openIndex(
  engine: Engine,
  dataset: Dataset,
  indexName: string,
  search: IndexSearch,
  keys: DatasetKeys,
): Promise<SearchIndex> {
  const index = await SearchIndex.open(engine, dataset, indexName, keys);
  if (index.columns.length === search.length) return index;
  throw new KeysteadError("INVALID_ARGUMENT", `index ${index.name} is over ${index.columns.join(", ")}; give one value for each`);
}

/** One search, page by page: of the rows that it reads it keeps those that it returns. */
class Search {
  readonly #engine: Engine;
  readonly #dataset: Dataset;
  readonly #index: SearchIndex;
  readonly #search: IndexSearch;
  readonly #opener: RowOpener;
  readonly #rows: FoundRow[] = [];
  readonly #firstUnopened: RowProblem[] = [];
  readonly #withheld = new Set<string>();
  #unopenedRows = 0;

  constructor(engine: Engine, dataset: Dataset, index: SearchIndex, search: IndexSearch, opener: RowOpener) {
    this.#engine = engine;
    this.#dataset = dataset;
    this.#index = index;
    this.#search = search;
    this.#opener = opener;
  }

  /** Columns that the caller may not decrypt in some row. */
  get withheld(): readonly string[] {
    return [...this.#withheld].sort();
  }

  async run(source: DatasetSource, limit: number, signal: AbortSignal | undefined): Promise<FindResult> {
    const tokens = this.#index.tokens(this.#search);
    let cursor: string | undefined;
    do {
      if (signal?.aborted === true) throw new KeysteadError("CANCELLED", "the search was stopped");
      const page = await source.findByTokens(tokens, cursor, pageRows);
      for (const row of page.rows) {
        const compared = await this.#compare(row);
        if (compared === undefined) continue;
        if (this.#rows.length === limit) return this.#result(true);
        this.#rows.push(await this.#read(row, compared));
      }
      cursor = page.next;
      // Signals and refreshes of keys come between pages.
      await nextTurn();
    } while (cursor !== undefined);
    return this.#result(false);
  }

  #result(more: boolean): FindResult {
    const unopenedRows = this.#unopenedRows;
    return { rows: this.#rows, complete: !more && unopenedRows === 0, more, unopenedRows, firstUnopened: this.#firstUnopened };
  }

  /** The opened columns of the index in a row that matches. A row that can't be compared is noted. */
  async #compare(row: SourceRow): Promise<ReadonlyMap<string, OpenedValue> | undefined> {
    const compared = new Map<string, OpenedValue>();
    for (const column of this.#opener.columns(this.#index.columns)) {
      const opened = await this.#opener.open(row, column);
      if (opened instanceof KeysteadError) {
        this.#unopenedRows += 1;
        if (this.#firstUnopened.length < keptProblems)
          this.#firstUnopened.push(rowProblem(this.#dataset.definition, row, column.name, opened));
        return undefined;
      }
      compared.set(column.name, opened);
    }
    const plaintexts = new Map([...compared].map(([name, { plaintext }]) => [name, plaintext]));
    return this.#matches(plaintexts) ? compared : undefined;
  }

  #matches(plaintexts: ReadonlyMap<string, Uint8Array | undefined>): boolean {
    try {
      return this.#index.matches(indexedValues(this.#index, plaintexts), this.#search);
    } catch (error) {
      // A value that no index holds is not what was searched for: its token is left from another one.
      if (isKeysteadError(error, "INVALID_ARGUMENT")) return false;
      throw error;
    }
  }

  async #read(row: SourceRow, compared: ReadonlyMap<string, OpenedValue>): Promise<FoundRow> {
    const { keyColumns, columns } = this.#dataset.definition;
    const values: Record<string, FieldValue | null> = {};
    const unopened: Record<string, ErrorCode> = {};
    for (const column of columns) {
      const opened = compared.get(column.name) ?? (await this.#opener.open(row, column));
      if (opened instanceof KeysteadError) unopened[column.name] = opened.code;
      else if (await this.#mayRead(row, column, opened)) values[column.name] = opened.value;
      else {
        unopened[column.name] = "ACCESS_DENIED";
        this.#withheld.add(column.name);
      }
    }
    return { row: Object.fromEntries(keyColumns.map((name) => [name, keyText(row, name)])), values, unopened };
  }

  /** Whether the caller may decrypt the value under each context that it may have. */
  async #mayRead(row: SourceRow, { name, key }: ProtectedColumn, opened: OpenedValue): Promise<boolean> {
    const { access, caller } = this.#engine;
    if (access === allowAll) return true;
    const contexts = this.#opener.contexts(row, name);
    try {
      for (const context of contexts.length === 0 ? [{}] : contexts.map((context) => ({ context })))
        for (const each of new Set([key, opened.key ?? key]))
          await access.authorize(caller, "data.decrypt", { key: each, dataset: this.#dataset.name, ...context });
      return true;
    } catch (error) {
      if (isKeysteadError(error, "ACCESS_DENIED")) return false;
      throw error;
    }
  }
}

function keyText({ cells }: SourceRow, column: string): string {
  const cell = cells[column];
  return (cell === undefined ? undefined : cellToKeyText(cell)) ?? "";
}
