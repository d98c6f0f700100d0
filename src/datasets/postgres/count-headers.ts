import type { HeaderCount } from "../source.ts";
import { columnNamed } from "./check-layout.ts";
import { headerCounts, mostCountRows } from "./counts.ts";
import { columnsWithHeaderIndex, countByIndex } from "./header-index.ts";
import { countedHeader, countQuery, headerPattern } from "./header-query.ts";
import type { ResultRow, Session } from "./postgres-connection.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/**
 * The census of columns: in an index of their headers where there is one, the others in one pass over the table.
 * @throws KeysteadError `DATABASE_FAILED` when there are more headers than anybody has keys.
 */
export async function countHeaders(
  session: Session,
  name: TableName,
  facts: TableFacts,
  columns: readonly string[],
): Promise<HeaderCount[]> {
  const limit = mostCountRows(columns.length);
  const rows: ResultRow[] = [];
  const left: string[] = [];
  const indexed = await columnsWithHeaderIndex(session, name, facts, columns);
  for (const column of columns) {
    const counted = indexed.has(column) ? await countByIndex(session, name, facts, column, limit) : undefined;
    if (counted === undefined) left.push(column);
    else rows.push(...counted.map(([header = null, found = null]) => [String(columns.indexOf(column)), header, found]));
  }
  if (left.length > 0) {
    const counted = left.map((column) => countedHeader(columnNamed(facts, column)));
    const found = await session.rows(countQuery(quoteTable(name), counted, headerPattern, limit));
    rows.push(...found.map(([place, ...rest]) => [String(columns.indexOf(left[Number(place)] ?? "")), ...rest]));
  }
  return headerCounts(columns, rows);
}
