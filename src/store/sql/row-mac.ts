import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import { encodeFields, type Field } from "../../crypto/encode.ts";
import { rowVersionColumn, type ColumnLayout, type ColumnValue, type ColumnValues, type TableLayout } from "./table-layout.ts";

/**
 * The MAC of a row, 32 bytes: HMAC-SHA-256 under the metadata key over
 * `E(row format number, table, then for each column in the order of tables.ts: name, type letter, value)`.
 *
 * - Table and columns have their names in the database (`created_at`).
 * - Type letters: `t` text (UTF-8), `i` integer (ASCII decimal), `b` bytes; `n` is NULL of whatever type, with an empty value.
 * - The row version is covered as one more column at the end: `"row_version", "i", number`.
 *
 * Specified in `docs/format.md`, section Metadata.
 */
export function computeRowMac(key: KeyObject, table: TableLayout, values: ColumnValues, rowVersion: number): Buffer {
  const fields: Field[] = [table.format, table.name];
  for (const column of table.columns) fields.push(column.sqlName, ...encodeValue(column, values[column.property] ?? null));
  fields.push(rowVersionColumn, "i", rowVersion);
  return createHmac("sha256", key)
    .update(encodeFields(...fields))
    .digest();
}

/** True when `mac` is the row's MAC. Takes the same time wherever the two differ. */
export function verifyRowMac(key: KeyObject, table: TableLayout, values: ColumnValues, rowVersion: number, mac: Uint8Array): boolean {
  const expected = computeRowMac(key, table, values, rowVersion);
  return mac.length === expected.length && timingSafeEqual(expected, mac);
}

function encodeValue(column: ColumnLayout, value: ColumnValue): [string, Field] {
  return value === null ? ["n", ""] : [column.kind.letter, value];
}
