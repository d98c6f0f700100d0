import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import { layoutColumns, plaintextColumns, requireIndexColumns, typedColumns } from "../layout.ts";
import { listNames } from "../name-list.ts";
import { requireLimit } from "../source-limits.ts";
import type {
  Cell,
  Cursor,
  DatasetSource,
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
import { adviseOn, tokenTerm } from "./advice.ts";
import { columnNamed } from "./check-layout.ts";
import { canonicalTypeOf, castTo, kindOf } from "./column-kind.ts";
import { countHeaders } from "./count-headers.ts";
import { generationCounts, mostCountRows } from "./counts.ts";
import { columnSql, textSql } from "./document-path.ts";
import { countedGeneration, generationPattern } from "./generation-query.ts";
import { proposeHeaderIndexes } from "./header-index.ts";
import { countQuery } from "./header-query.ts";
import { openTable, type OpenTable } from "./open-table.ts";
import type { PostgresConnection, Session } from "./postgres-connection.ts";
import { isMalformedValue } from "./postgres-failure.ts";
import { countRows } from "./row-count.ts";
import { adviseOnRemains, remainFacts } from "./remains.ts";
import { refuseRewritten } from "./rewritten-table.ts";
import { foreignCursor, operatorSql } from "./row-locator.ts";
import type { RowFilter } from "./row-reader.ts";
import type { ColumnFacts, TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";
import type { TransactionMode } from "./transaction-settings.ts";
import { checkValueLengths } from "./value-lengths.ts";

const valuePageRows = 1_000;

/** A table of a PostgreSQL database, which the application may go on using. */
export class PostgresSource implements DatasetSource {
  readonly #connection: PostgresConnection;
  readonly #layout: SourceLayout;
  readonly #name: TableName;
  #table: OpenTable | undefined;

  constructor(connection: PostgresConnection, layout: SourceLayout, name: TableName) {
    this.#connection = connection;
    this.#layout = layout;
    this.#name = name;
  }

  async describe(): Promise<SourceDescription> {
    this.#table = undefined;
    const layout = this.#layout;
    return await this.#withTable("count", async (session, { facts }) => {
      await checkValueLengths(session, layout, this.#name, facts);
      const forms = layout.valueColumns.map((name) => [name, formOf(facts, name)] as const);
      const types = typedColumns(layout).map((name) => {
        const column = columnNamed(facts, name);
        return [name, { declared: column.declaredType, canonical: canonicalTypeOf(column) }] as const;
      });
      const rows = await countRows(session, this.#name);
      return {
        forms: Object.fromEntries(forms),
        types: Object.fromEntries(types),
        required: facts.columns.filter(({ name, notNull }) => notNull && plaintextColumns(layout).includes(name)).map(({ name }) => name),
        rows,
        advice: [
          ...adviseOn(layout, this.#name, facts),
          ...(await proposeHeaderIndexes(session, this.#name, facts, layout.valueColumns, rows)),
        ],
      };
    });
  }

  async countHeaders(signal?: AbortSignal): Promise<HeaderCount[]> {
    const columns = this.#layout.valueColumns;
    return await this.#withTable("count", async (session, { facts }) => await countHeaders(session, this.#name, facts, columns), signal);
  }

  async countGenerations(signal?: AbortSignal): Promise<GenerationCount[]> {
    const columns = this.#layout.indexColumns;
    if (columns.length === 0) return [];
    const query = countQuery(quoteTable(this.#name), columns.map(countedGeneration), generationPattern, mostCountRows(columns.length));
    return generationCounts(columns, await this.#withTable("count", (session) => session.rows(query), signal));
  }

  async readPage(cursor: Cursor | undefined, limit: number, until?: Cursor): Promise<SourcePage> {
    requireLimit(limit);
    return await this.#readPage(cursor, limit, () => undefined, until);
  }

  async skip(cursor: Cursor | undefined, rows: number): Promise<Cursor | undefined> {
    requireLimit(rows);
    return await this.#withTable("read", async (session, { locator }) => {
      const table = quoteTable(this.#name);
      let left = rows;
      for (const { where, parameters } of locator.rangesAfter(cursor, 1)) {
        const found = `from ${table} keystead_found where ${where}`;
        // Qualified, because a bare name would be that of a result, which is text.
        const ordered = `select ${locator.place} ${found} order by ${locator.order("keystead_found.")} limit 1 offset ${String(left - 1)}`;
        const [place] = await readFrom(cursor, session.rows(ordered, parameters));
        if (place !== undefined) return locator.readPlace(place);
        const [count] = await session.rows(`select count(*) ${found}`, parameters);
        left -= Number(count?.[0] ?? 0);
      }
      return undefined;
    });
  }

  async replace(rows: readonly RowReplacement[]): Promise<ReplaceOutcome[]> {
    if (rows.length === 0) return [];
    return await this.#withTable("write", async (session, { replacer }) => await replacer.replace(session, rows));
  }

  async findByTokens(searches: readonly TokenSearch[], cursor: Cursor | undefined, limit: number): Promise<SourcePage> {
    requireLimit(limit);
    requireIndexColumns(this.#layout, searches);
    return await this.#readPage(cursor, limit, (facts) => tokenFilter(facts, searches));
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
    if (columns.length === 0) return [];
    return await this.#withTable(
      "count",
      async (session, { facts }) => {
        const sealed = (name: string): string => valueSql(columnNamed(facts, name));
        const counts = columns.map(
          ({ plaintext, column }) => `count(*) filter (where ${quoteIdentifier(plaintext)} is not null and ${sealed(column)} is null)`,
        );
        const [row] = await session.rows(`select ${counts.join(", ")} from ${quoteTable(this.#name)}`);
        return counts.map((_, place) => Number(row?.[place] ?? 0));
      },
      signal,
    );
  }

  async describeRemains(columns: readonly string[]): Promise<readonly string[]> {
    return await this.#withTable("count", async (session, { facts }) =>
      adviseOnRemains(columns, this.#name, facts, await remainFacts(session)),
    );
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #readPage(
    cursor: Cursor | undefined,
    limit: number,
    filterOf: (facts: TableFacts) => RowFilter | undefined,
    until?: Cursor,
  ): Promise<SourcePage> {
    return await this.#withTable("read", async (session, { facts, locator, reader }) => {
      const filter = filterOf(facts);
      const rows: SourceRow[] = [];
      for (const range of locator.rangesAfter(cursor, (filter?.parameters.length ?? 0) + 1)) {
        // When the page is full already, this only finds out whether there is more.
        const batch = await readFrom(cursor ?? until, reader.readRange(session, range, limit - rows.length, filter, until));
        rows.push(...batch.rows);
        if (batch.ended) break;
        const last = rows.at(-1);
        if (batch.more && last !== undefined) return { rows, next: locator.cursorAfter(last.locator) };
      }
      return { rows, next: undefined };
    });
  }

  /** Works on the table as it is now: it is looked at again when it was changed, and what was read of it while it was written anew. */
  async #withTable<T>(mode: TransactionMode, work: (session: Session, table: OpenTable) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return await this.#connection.transaction(
      mode,
      async (session) => {
        if (this.#table === undefined || this.#table.version !== session.tableVersion)
          this.#table = await openTable(session, this.#layout, this.#name);
        const result = await work(session, this.#table);
        // Writing reads each row by a snapshot of the moment.
        if (mode !== "write") await refuseRewritten(session, this.#name);
        return result;
      },
      signal,
    );
  }
}

/** Rows that fit one of the searches. Selective when an index finds those of each. */
function tokenFilter(facts: TableFacts, searches: readonly TokenSearch[]): RowFilter {
  const terms = searches.map(({ column }, position) => columnFilter(facts, column, `$${String(position + 1)}::text[]`));
  return {
    where: terms.length === 0 ? "false" : `(${terms.map(({ where }) => `(${where})`).join(" or ")})`,
    parameters: searches.map(({ tokens }) => tokens),
    isSelective: terms.every(({ isSelective }) => isSelective),
  };
}

/** What the database takes for no value of a key column was none of this table's. */
async function readFrom<T>(cursor: Cursor | undefined, reading: Promise<T>): Promise<T> {
  return await reading.catch((error: unknown) => {
    throw cursor !== undefined && isMalformedValue(error) ? foreignCursor() : error;
  });
}

/** The first condition uses the column's index, under whatever collation; the second makes it exact. */
function columnFilter(facts: TableFacts, name: string, tokens: string): Pick<RowFilter, "where" | "isSelective"> {
  const column = columnNamed(facts, name);
  const exact = `${kindOf(column).identity(quoteIdentifier(name))} = any(${tokens})`;
  const operators = tokenTerm(facts, name)?.operators ?? undefined;
  if (operators === undefined) return { where: exact, isSelective: false };
  const list = castTo(column, tokens);
  return { where: `${quoteIdentifier(name)} ${operatorSql(operators.equal)} any(${list}[]) and ${exact}`, isSelective: true };
}

/** SQL that is NULL where a value is; JSON's null is one, too. */
function valueSql(column: ColumnFacts): string {
  return column.document === undefined ? columnSql(column) : textSql(column);
}

function formOf(facts: TableFacts, name: string): "text" | "binary" {
  return kindOf(columnNamed(facts, name)).form ?? "text";
}
