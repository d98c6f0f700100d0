import { KeysteadError } from "../../errors.ts";
import type { NewRecord, StoredRecord, TableName } from "../tables.ts";
import type { OpenedRow } from "./row.ts";
import type { ColumnValues, TableLayout } from "./table-layout.ts";

/** A row's values as the record that the table's type promises. */
export function toRecord<N extends TableName>(table: TableLayout, values: ColumnValues): NewRecord<N> {
  if (!isRecord<N>(table, values))
    throw new KeysteadError("INTERNAL", `a row of ${table.name} lacks a column: this is a fault in Keystead`);
  return values;
}

/** The same with its row version. */
export function toStoredRecord<N extends TableName>(table: TableLayout, row: Pick<OpenedRow, "values" | "rowVersion">): StoredRecord<N> {
  return { ...toRecord<N>(table, row.values), rowVersion: row.rowVersion };
}

/** Types were checked column by column when the values were made; here they only have to be there. */
function isRecord<N extends TableName>(table: TableLayout, values: unknown): values is NewRecord<N> {
  return typeof values === "object" && values !== null && table.columns.every(({ property }) => property in values);
}
