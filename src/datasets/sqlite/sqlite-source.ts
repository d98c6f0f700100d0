import { KeysteadError } from "../../errors.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { layoutColumns, plaintextColumns, requireIndexColumns, typedColumns } from "../layout.ts";
import { listNames } from "../name-list.ts";
import type {
  Cell,
  Cursor,
  DatasetSource,
  DeclaredType,
  GenerationCount,
  HeaderCount,
  ReplaceOutcome,
  RowReplacement,
  ShadowedColumn,
  SourceDescription,
  SourceLayout,
  SourcePage,
  SourceRow,
  TokenSearch,
} from "../source.ts";
import { maxHeaderGroups, requireLimit } from "../source-limits.ts";
import { adviseOn, indexedColumns } from "./advice.ts";
import { checkLayout } from "./check-layout.ts";
import { canonicalTypeOf } from "./declared-type.ts";
import { GenerationCounter } from "./generation-counter.ts";
import { HeaderCounter } from "./header-counter.ts";
import { quoteIdentifier, quoteTable } from "./identifier.ts";
import { adviseOnRemains, remainFacts } from "./remains.ts";
import { RowLocator } from "./row-locator.ts";
import { type RowFilter, RowReader } from "./row-reader.ts";
import { RowReplacer } from "./row-replacer.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { readSchema, schemaVersion, type TableFacts } from "./table-facts.ts";
import { TableScan, type ValueCounter } from "./table-scan.ts";
import { UncoveredCounter } from "./uncovered-counter.ts";

const valuePageRows = 1_000;
/** How often counting begins when the schema keeps changing. */
const maxScans = 4;

/** A table as it was found, and what works on it. */
interface OpenTable {
  readonly schemaVersion: bigint;
  readonly facts: TableFacts;
  readonly locator: RowLocator;
  readonly reader: RowReader;
  readonly replacer: RowReplacer;
}

/** A table of an SQLite database, which the application may go on using in other processes. */
export class SqliteSource implements DatasetSource {
  readonly #layout: SourceLayout;
  readonly #connection: SqliteConnection;
  #table: OpenTable | undefined;

  constructor(connection: SqliteConnection, layout: SourceLayout) {
    this.#layout = layout;
    this.#connection = connection;
  }

  async describe(): Promise<SourceDescription> {
    this.#table = undefined;
    const layout = this.#layout;
    return this.#withTable((connection, { facts }) => {
      const table = quoteTable(layout.table);
      refuseNullKeys(connection, layout, facts);
      return {
        forms: Object.fromEntries(layout.valueColumns.map((name) => [name, formOf(facts, name)])),
        types: Object.fromEntries(typedColumns(layout).map((name) => [name, declaredTypeOf(facts, name)])),
        required: facts.columns.filter(({ name, notNull }) => notNull && plaintextColumns(layout).includes(name)).map(({ name }) => name),
        rows: Number(connection.first(`SELECT count(*) FROM ${table}`)?.[0] ?? 0),
        advice: adviseOn(layout, facts),
      };
    });
  }

  async countHeaders(signal?: AbortSignal): Promise<HeaderCount[]> {
    const columns = this.#layout.valueColumns;
    const createCounters = (): HeaderCounter[] => {
      const allowance = { left: maxHeaderGroups };
      return columns.map((column) => new HeaderCounter(column, allowance));
    };
    const counters = await this.#scan(columns, createCounters, signal);
    return counters.flatMap(({ counts }) => counts);
  }

  async countGenerations(signal?: AbortSignal): Promise<GenerationCount[]> {
    const columns = this.#layout.indexColumns;
    const counters = await this.#scan(columns, () => columns.map((column) => new GenerationCounter(column)), signal);
    return counters.flatMap(({ counts }) => counts);
  }

  async readPage(cursor: Cursor | undefined, limit: number, until?: Cursor): Promise<SourcePage> {
    requireLimit(limit);
    return this.#withTable((connection, table) => readPage(connection, table, { cursor, until, limit }));
  }

  async skip(cursor: Cursor | undefined, rows: number): Promise<Cursor | undefined> {
    requireLimit(rows);
    return this.#withTable((connection, { locator }) => {
      const table = quoteTable(this.#layout.table);
      let left = rows;
      for (const { where, parameters } of locator.rangesAfter(cursorCells(cursor, locator))) {
        const ordered = `SELECT ${locator.place} FROM ${table} WHERE ${where} ORDER BY ${locator.order} LIMIT 1 OFFSET ${String(left - 1)}`;
        const place = connection.first(ordered, ...parameters);
        if (place !== undefined) return encodeCursor(locator.readPlace(place));
        left -= Number(connection.first(`SELECT count(*) FROM ${table} WHERE ${where}`, ...parameters)?.[0] ?? 0);
      }
      return undefined;
    });
  }

  async replace(rows: readonly RowReplacement[]): Promise<ReplaceOutcome[]> {
    if (rows.length === 0) return [];
    return this.#withTable((connection, { replacer }) => replacer.replace(connection, rows));
  }

  async findByTokens(searches: readonly TokenSearch[], cursor: Cursor | undefined, limit: number): Promise<SourcePage> {
    requireLimit(limit);
    requireIndexColumns(this.#layout, searches);
    return this.#withTable((connection, table) =>
      readPage(connection, table, { cursor, until: undefined, limit }, tokenFilter(this.#layout, table, searches)),
    );
  }

  async *readValues(columns: readonly string[], limit: number): AsyncGenerator<readonly Cell[], void, undefined> {
    const unknown = columns.filter((column) => !layoutColumns(this.#layout).includes(column));
    if (unknown.length > 0)
      throw new KeysteadError("INVALID_ARGUMENT", `columns ${listNames(unknown)} are not in the layout: name some that are`);
    let cursor: Cursor | undefined;
    for (let left = limit; left > 0;) {
      const page: SourcePage = await this.readPage(cursor, Math.min(left, valuePageRows));
      for (const row of page.rows) yield columns.flatMap((column) => row.cells[column] ?? []);
      if (page.next === undefined) return;
      cursor = page.next;
      left -= page.rows.length;
    }
  }

  async countUncovered(columns: readonly ShadowedColumn[], signal?: AbortSignal): Promise<readonly number[]> {
    const names = columns.map(({ column }) => column);
    const counters = await this.#scan(names, () => columns.map((column) => new UncoveredCounter(column)), signal);
    return counters.map(({ rows }) => rows);
  }

  async describeRemains(columns: readonly string[]): Promise<readonly string[]> {
    return this.#withTable((connection, { facts }) => adviseOnRemains(columns, facts, remainFacts(connection)));
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  /** Runs `work` on the table as it is now. */
  async #withTable<T>(work: (connection: SqliteConnection, table: OpenTable) => T): Promise<T> {
    const connection = this.#connection;
    return connection.attempt(() => {
      this.#table = openTable(connection, this.#layout, this.#table);
      return work(connection, this.#table);
    });
  }

  /** Counts over columns, on a connection of its own: the other one stays free for pages and replacements. */
  async #scan<C extends ValueCounter>(
    columns: readonly string[],
    createCounters: () => readonly C[],
    signal?: AbortSignal,
  ): Promise<readonly C[]> {
    if (columns.length === 0) return [];
    const { table } = this.#layout;
    const connection = await this.#connection.openAnother();
    try {
      for (let tries = 0; tries < maxScans; tries++) {
        const found = await this.#withTable((_, open) => open);
        const counters = createCounters();
        if (await new TableScan(connection, table, found.locator, found.schemaVersion).run(counters, signal)) return counters;
      }
      throw new KeysteadError("DATABASE_FAILED", `table "${table}": its schema changes all the time: count when the migration is over`);
    } finally {
      connection.close();
    }
  }
}

function openTable(connection: SqliteConnection, layout: SourceLayout, known: OpenTable | undefined): OpenTable {
  if (known?.schemaVersion === schemaVersion(connection)) return known;
  const schema = readSchema(connection, layout.table);
  const facts = checkLayout(layout, schema);
  const locator = new RowLocator(layout, facts);
  return {
    schemaVersion: schema.version,
    facts,
    locator,
    reader: new RowReader(layout, locator),
    replacer: new RowReplacer(layout, facts, locator),
  };
}

/** Where a page lies. */
interface PagePlace {
  readonly cursor: Cursor | undefined;
  readonly until: Cursor | undefined;
  readonly limit: number;
}

/** Reads the ranges after the cursor until the page is full. */
function readPage(
  connection: SqliteConnection,
  { locator, reader }: OpenTable,
  { cursor, until, limit }: PagePlace,
  filter?: RowFilter,
): SourcePage {
  const end = cursorCells(until, locator);
  const beyond = end === undefined ? undefined : locator.beyond(end);
  const rows: SourceRow[] = [];
  for (const range of locator.rangesAfter(cursorCells(cursor, locator))) {
    // When the page is full already, this only finds out whether there is more.
    const batch = reader.readRange(connection, range, limit - rows.length, filter, beyond);
    rows.push(...batch.rows);
    if (batch.ended) break;
    const last = rows.at(-1);
    if (batch.more && last !== undefined) return { rows, next: encodeCursor(last.locator.slice(0, locator.orderLength)) };
  }
  return { rows, next: undefined };
}

function cursorCells(cursor: Cursor | undefined, { orderLength }: RowLocator): readonly Cell[] | undefined {
  return cursor === undefined ? undefined : decodeCursor(cursor, orderLength);
}

/** Rows that fit one of the searches. Selective when an index finds those of each. */
function tokenFilter({ table: name }: SourceLayout, { facts, locator }: OpenTable, searches: readonly TokenSearch[]): RowFilter {
  const indexed = indexedColumns(facts);
  const isSelective = searches.every(({ column }) => indexed.has(column));
  const conditions = searches.map(({ column }) => tokenCondition(quoteIdentifier(column)));
  const parameters = searches.flatMap(({ tokens }) => [JSON.stringify(tokens), JSON.stringify(tokens)]);
  if (conditions.length < 2 || !isSelective)
    return { where: conditions.length === 0 ? "FALSE" : `(${conditions.join(" OR ")})`, parameters, isSelective };
  return { where: locator.union(quoteTable(name), conditions), parameters: [...parameters, ...parameters], isSelective };
}

/** The first half uses the column's index, under whatever collation; the second makes it exact. */
function tokenCondition(name: string): string {
  return `(${name} IN (SELECT value FROM json_each(?)) AND ${name} COLLATE BINARY IN (SELECT value FROM json_each(?)))`;
}

/** Declared key columns may hold NULL in SQLite, even those of a PRIMARY KEY, and any number of them. */
function refuseNullKeys(connection: SqliteConnection, layout: SourceLayout, table: TableFacts): void {
  const nullable = table.columns.filter(({ name, notNull }) => layout.keyColumns.includes(name) && !notNull && name !== table.rowidColumn);
  if (nullable.length === 0) return;
  const condition = nullable.map(({ name }) => `${quoteIdentifier(name)} IS NULL`).join(" OR ");
  if (connection.first(`SELECT 1 FROM ${quoteTable(layout.table)} WHERE ${condition} LIMIT 1`) === undefined) return;
  const names = listNames(nullable.map(({ name }) => name));
  throw new KeysteadError(
    "DATASET_UNSUITABLE",
    `table "${table.name}": key column ${names} is NULL in some rows, which then can't be named: give them a key`,
  );
}

function formOf(table: TableFacts, name: string): "text" | "binary" {
  const column = table.columns.find((candidate) => candidate.name === name);
  return column?.affinity === "BLOB" && /BLOB/i.test(column.declaredType) ? "binary" : "text";
}

function declaredTypeOf(table: TableFacts, name: string): DeclaredType {
  const declared = table.columns.find((candidate) => candidate.name === name)?.declaredType ?? "";
  return { declared, canonical: canonicalTypeOf(declared) };
}
