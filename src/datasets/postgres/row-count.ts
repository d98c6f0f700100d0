import type { Session } from "./postgres-connection.ts";
import { explain } from "./query-plan.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** Rows from which on they are not counted one by one. */
const manyRows = 1_000_000;

/** Rows of the table, at this moment; about, where PostgreSQL expects a million or more. */
export async function countRows(session: Session, name: TableName): Promise<number> {
  const table = quoteTable(name);
  // What the planner expects follows the size of the table, partitions included, even when nobody ever analysed it.
  const { "Plan Rows": expected } = await explain(session, `select from ${table}`);
  if (expected >= manyRows) return expected;
  const [row] = await session.rows(`select count(*) from ${table}`);
  return Number(row?.[0] ?? 0);
}
