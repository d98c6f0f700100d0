import type { Sql, SqlValue } from "../../store/sql/sql-database.ts";
import type { ColumnLayout, TableLayout } from "../../store/sql/table-layout.ts";

/** A row as the database has it, with its MAC. */
export type RawRow = Readonly<Record<string, SqlValue>>;

/** Every row of a table, in key order. */
export async function readRaw(sql: Sql, table: TableLayout): Promise<RawRow[]> {
  let query = sql.selectFrom(table.name).select(table.sqlNames);
  for (const { sqlName } of table.key) query = query.orderBy(sqlName);
  return await query.execute();
}

/** Overwrites columns of the row that has the key of `row`. */
export async function updateRaw(sql: Sql, table: TableLayout, row: RawRow, columns: RawRow): Promise<void> {
  let query = sql.updateTable(table.name).set(columns);
  for (const { sqlName } of table.key) query = query.where(sqlName, "=", row[sqlName] ?? null);
  await query.execute();
}

export async function deleteRaw(sql: Sql, table: TableLayout, row: RawRow): Promise<void> {
  let query = sql.deleteFrom(table.name);
  for (const { sqlName } of table.key) query = query.where(sqlName, "=", row[sqlName] ?? null);
  await query.execute();
}

export async function insertRaw(sql: Sql, table: TableLayout, row: RawRow): Promise<void> {
  await sql.insertInto(table.name).values(row).execute();
}

/** The columns of a row that belong to its primary key, or the others. */
export function partOf(table: TableLayout, row: RawRow, part: "key" | "content"): RawRow {
  const isKey = (sqlName: string): boolean => table.key.some((column: ColumnLayout) => column.sqlName === sqlName);
  return Object.fromEntries(Object.entries(row).filter(([sqlName]) => isKey(sqlName) === (part === "key")));
}
