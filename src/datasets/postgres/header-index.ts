import { columnNamed } from "./check-layout.ts";
import { createIndex } from "./create-index.ts";
import { countedHeader, groupExpression, headerPattern } from "./header-query.ts";
import type { ResultRow, Session } from "./postgres-connection.ts";
import { explain, type QueryPlan } from "./query-plan.ts";
import type { ColumnFacts, TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** Rows from which on an index for the census is proposed: counting fewer takes a fraction of a second. */
const manyRows = 100_000;

/** Steps of a plan that finds the first header in an index, or in one of each partition, without looking at every row. */
const indexSteps: ReadonlySet<string> = new Set(["Limit", "Index Scan", "Merge Append", "Append", "Result"]);

/** The columns whose headers are in an index, in which a census counts them without working them out for every row. */
export async function columnsWithHeaderIndex(
  session: Session,
  name: TableName,
  facts: TableFacts,
  columns: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  if (!facts.indexes.some(({ whole, terms: [first] }) => whole && first?.name === null)) return found;
  for (const column of columns) {
    // PostgreSQL alone knows which expressions are the same to it.
    const header = headerOf(facts, column);
    if (isFromIndex(await explain(session, `select from ${quoteTable(name)} order by ${header} limit 1`))) found.add(column);
  }
  return found;
}

/**
 * Counts the headers of a column that has an index of them. What does not look like a header counts as ''.
 * @param limit how many headers are told apart
 * @returns rows of header and how often; undefined when the index has too many headers, or not every row of the table
 */
export async function countByIndex(
  session: Session,
  name: TableName,
  facts: TableFacts,
  column: string,
  limit: number,
): Promise<ResultRow[] | undefined> {
  // Otherwise the planner may read the table for the header that most rows have.
  await session.execute("savepoint counting; set local enable_seqscan = off; set local enable_bitmapscan = off; set local jit = off");
  const rows = await session.rows(indexQuery(quoteTable(name), headerOf(facts, column), limit));
  await session.execute("rollback to savepoint counting");
  const total = Number(rows[0]?.[2] ?? 0);
  const counted = rows.reduce((sum, [, found]) => sum + Number(found), 0);
  return counted === total ? rows.filter(([, found]) => found !== "0") : undefined;
}

/** The statements that make indexes for the census of a large table. */
export async function proposeHeaderIndexes(
  session: Session,
  name: TableName,
  facts: TableFacts,
  columns: readonly string[],
  rows: number,
): Promise<string[]> {
  if (rows < manyRows) return [];
  const indexed = await columnsWithHeaderIndex(session, name, facts, columns);
  return columns
    .filter((column) => !indexed.has(column) && isIndexable(columnNamed(facts, column)))
    .map(
      (column) =>
        `${createIndex(name, facts, `${column}_census`, headerOf(facts, column))} -- optional: a census then counts in the index, several times as fast`,
    );
}

/**
 * From one header to the next through the index, and for each of them its entries. One row more than there are headers: NULLs.
 * Results: header, how often, rows of the table. Those are counted by a column that no index holds: otherwise the server may count
 * them in the very index that is judged by them.
 */
function indexQuery(table: string, header: string, limit: number): string {
  const first = `select ${header}, 1 from ${table} where ${header} is not null order by ${header} limit 1`;
  const next = `select ${header} from ${table} where ${header} > headers.h order by ${header} limit 1`;
  const count = (condition: string): string => `(select count(*) from ${table} where ${header} ${condition})`;
  return (
    `with recursive headers(h, n) as ((${first}) union all ` +
    `select (${next}), n + 1 from headers where h is not null and n < ${String(limit)}), ` +
    `counted(h, found) as (select h, ${count("= h")} from headers where h is not null and (select max(n) from headers) < ${String(limit)} union all select null, ${count("is null")}) ` +
    `select case when h is null or h ~ '${headerPattern}' then h else '' end, found, (select count(ctid) from ${table}) from counted`
  );
}

function headerOf(facts: TableFacts, column: string): string {
  return groupExpression(countedHeader(columnNamed(facts, column)));
}

/** Reading text as `json` is not immutable to PostgreSQL. */
function isIndexable({ document }: ColumnFacts): boolean {
  return document?.type !== "json";
}

function isFromIndex({ "Node Type": step, Plans: plans = [] }: QueryPlan): boolean {
  return indexSteps.has(step) && plans.every(isFromIndex);
}
