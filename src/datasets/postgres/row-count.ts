import { z } from "zod";
import type { Session } from "./postgres-connection.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** Rows from which on they are not counted one by one. */
const manyRows = 1_000_000;

const planSchema = z.tuple([z.object({ Plan: z.object({ "Plan Rows": z.number() }) })]);

/** Rows of the table, at this moment; about, where PostgreSQL expects a million or more. */
export async function countRows(session: Session, name: TableName): Promise<number> {
  const table = quoteTable(name);
  // What the planner expects follows the size of the table, partitions included, even when nobody ever analysed it.
  const [plan] = await session.rows(`explain (format json) select from ${table}`);
  const [{ Plan: expected }] = planSchema.parse(JSON.parse(plan?.[0] ?? ""));
  if (expected["Plan Rows"] >= manyRows) return expected["Plan Rows"];
  const [row] = await session.rows(`select count(*) from ${table}`);
  return Number(row?.[0] ?? 0);
}
