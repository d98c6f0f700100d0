import type { KeyObject } from "node:crypto";
import type { KeysteadError } from "../../errors.ts";
import { tampered } from "../tampered.ts";
import { computeRowMac, type MacedRow, verifyRowMac } from "./row-mac.ts";
import type { SqlValue } from "./sql-database.ts";
import {
  rowFormatColumn,
  rowMacColumn,
  rowVersionColumn,
  readInteger,
  toSql,
  type ColumnValue,
  type ColumnValues,
  type TableLayout,
} from "./table-layout.ts";

/** A row as a query returns it. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** A row whose types are right and whose MAC was compared. */
export interface OpenedRow extends MacedRow {
  /** The MAC that the row carries; empty in a table without one. */
  readonly mac: Uint8Array;
}

/** What became of a row that was read: what is wrong with it, and what could be made of it nevertheless. */
export interface RowCheck {
  readonly row: OpenedRow | undefined;
  readonly problem: string | undefined;
}

const noMac = new Uint8Array(0);

/** A row as it is written, MACed if its table is guarded. */
export function sealRow(
  key: KeyObject,
  table: TableLayout,
  values: ColumnValues,
  rowVersion: number,
): { columns: Record<string, SqlValue>; mac: Uint8Array } {
  const columns: Record<string, SqlValue> = {};
  for (const column of table.columns) columns[column.sqlName] = toSql(values[column.property] ?? null);
  columns[rowVersionColumn] = toSql(rowVersion);
  if (table.guard === "none") return { columns, mac: noMac };
  const mac = computeRowMac(key, table, { format: table.format, values, rowVersion });
  columns[rowFormatColumn] = toSql(table.format);
  columns[rowMacColumn] = mac;
  return { columns, mac };
}

/** Reads a row of the database strictly and compares its MAC. Total: never throws for what a row holds. */
export function checkRow(key: KeyObject, table: TableLayout, row: SqlRow): RowCheck {
  const parsed = parseRow(table, row);
  if (typeof parsed === "string") return { row: undefined, problem: parsed };
  if (table.guard === "none" || verifyRowMac(key, table, parsed, parsed.mac)) return { row: parsed, problem: undefined };
  return { row: parsed, problem: "its MAC does not fit: it was edited, or copied from elsewhere" };
}

/**
 * A row of the database, or what is wrong with its types. Its MAC is not looked at.
 *
 * A MAC of an older row format says nothing about the columns that came later. They must hold what the migration gave them:
 * otherwise whoever can write the database could fill them in, or make a query by them miss the row.
 */
export function parseRow(table: TableLayout, row: SqlRow): OpenedRow | string {
  const format = table.guard === "none" ? table.format : readInteger(row[rowFormatColumn]);
  if (format === undefined || !table.formats.has(format)) return `its ${rowFormatColumn} is not one that this version knows`;
  const values: Record<string, ColumnValue> = {};
  for (const column of table.columns) {
    const stored = row[column.sqlName];
    const value = stored === null && column.nullable ? null : column.kind.fromSql(stored);
    if (value === undefined) return `${column.sqlName} holds another type than ${column.kind.name}`;
    const { added } = column;
    if (added !== undefined && added.format > format && !isSameValue(value, added.value))
      return `${column.sqlName} was filled in, and its ${rowFormatColumn} does not have it`;
    values[column.property] = value;
  }
  const rowVersion = readInteger(row[rowVersionColumn]);
  if (rowVersion === undefined) return `${rowVersionColumn} is not an integer`;
  if (table.guard === "none") return { format, values, rowVersion, mac: noMac };
  const mac = row[rowMacColumn];
  return mac instanceof Uint8Array ? { format, values, rowVersion, mac } : `${rowMacColumn} holds another type than bytes`;
}

function isSameValue(a: ColumnValue, b: ColumnValue): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}

/** Primary key of a row as people read it: `keyId="…", version="3"`. Works on rows of any content. */
export function rowName(table: TableLayout, row: SqlRow): string {
  return table.key.map((column) => `${column.property}=${describeValue(row[column.sqlName])}`).join(", ");
}

/** The error for one row that was found changed. */
export function tamperedRow(table: TableLayout, row: SqlRow, problem: string): KeysteadError {
  return tampered([{ table: table.name, row: rowName(table, row), problem }]);
}

function describeValue(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const shown = typeof value === "string" ? value : String(value);
  return JSON.stringify(shown.length > 120 ? `${shown.slice(0, 120)}…` : shown);
}
