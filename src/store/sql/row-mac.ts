import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import { encodeFields, type Field } from "../../crypto/encode.ts";
import { columnsOf, rowVersionColumn, type ColumnLayout, type ColumnValue, type ColumnValues, type TableLayout } from "./table-layout.ts";

/** What a row's MAC covers. */
export interface MacedRow {
  /** One of the table's row formats: it says which columns are covered. */
  readonly format: number;
  readonly values: ColumnValues;
  readonly rowVersion: number;
}

/**
 * The MAC of a row, 32 bytes: HMAC-SHA-256 under the metadata key over
 * `E(row format number, table, then for each column that the format has, in the order of tables.ts: name, type letter, value)`.
 *
 * - The format number comes first, so a row can't be passed off as one of another format, which has other columns.
 * - Table and columns have their names in the database (`created_at`).
 * - Type letters: `t` text (UTF-8), `i` integer (ASCII decimal), `b` bytes; `n` is NULL of whatever type, with an empty value.
 * - The row version is covered as one more column at the end: `"row_version", "i", number`.
 *
 * Specified in `docs/format.md`, section Metadata.
 */
export function computeRowMac(key: KeyObject, table: TableLayout, { format, values, rowVersion }: MacedRow): Buffer {
  const fields: Field[] = [format, table.name];
  for (const column of columnsOf(table, format)) fields.push(column.sqlName, ...encodeValue(column, values[column.property] ?? null));
  fields.push(rowVersionColumn, "i", rowVersion);
  return createHmac("sha256", key)
    .update(encodeFields(...fields))
    .digest();
}

/** True when `mac` is the row's MAC. Takes the same time wherever the two differ. */
export function verifyRowMac(key: KeyObject, table: TableLayout, row: MacedRow, mac: Uint8Array): boolean {
  const expected = computeRowMac(key, table, row);
  return mac.length === expected.length && timingSafeEqual(expected, mac);
}

function encodeValue(column: ColumnLayout, value: ColumnValue): [string, Field] {
  return value === null ? ["n", ""] : [column.kind.letter, value];
}
