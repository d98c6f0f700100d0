import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { KeysteadError } from "../../errors.ts";
import type { Cell } from "../source.ts";

/** Stands for what is not UTF-8 in a text that SQLite gives as a string; such a text is read again as bytes. */
export const replacementCharacter = "\ufffd";

/** SQL of two results that {@link exactCell} reads: whether it is text, and the value, text as its bytes. */
export function exactColumns(expression: string): string {
  return `typeof(${expression}) = 'text', iif(typeof(${expression}) = 'text', CAST(${expression} AS BLOB), ${expression})`;
}

/** The cell of a value that was read directly. A string is exact unless it has a {@link replacementCharacter}. */
export function directCell(value: SQLOutputValue): Cell {
  return typeof value === "string" ? { type: "text", bytes: Buffer.from(value, "utf8") } : exactCell(0n, value);
}

/** The cell of two results of {@link exactColumns}. */
export function exactCell(isText: SQLOutputValue, value: SQLOutputValue): Cell {
  if (value === null) return { type: "null" };
  if (typeof value === "bigint") return { type: "integer", value };
  if (typeof value === "number") return { type: "real", value };
  if (value instanceof Uint8Array) return { type: isText === 1n ? "text" : "blob", bytes: value };
  throw new KeysteadError("INTERNAL", "text was read as a string where its bytes were asked for");
}

/** What to bind for a cell. Text is bound as its bytes, so its parameter is {@link parameterFor}. */
export function bindCell(cell: Cell): SQLInputValue {
  if (cell.type === "null") return null;
  return "bytes" in cell ? cell.bytes : cell.value;
}

/** SQL of a parameter, for storing and for comparing. */
export function parameterFor(type: Cell["type"]): string {
  return type === "text" ? "CAST(? AS TEXT)" : "?";
}

/**
 * SQL that is true when the column holds exactly the cell: the same storage type and bytes, whatever affinity and collation
 * the column has. {@link pushIdentity} gives its parameters.
 */
export function identityCondition(column: string, type: Cell["type"]): string {
  return identityConditions[type](column);
}

const identityConditions: Readonly<Record<Cell["type"], (column: string) => string>> = {
  null: (column) => `${column} IS NULL`,
  text: (column) => `typeof(${column}) = 'text' AND CAST(${column} AS BLOB) = ?`,
  blob: (column) => `typeof(${column}) = 'blob' AND ${column} = ?`,
  integer: (column) => `typeof(${column}) = 'integer' AND ${column} = ?`,
  // The angle tells 0.0 from -0.0, which are equal.
  real: (column) => `typeof(${column}) = 'real' AND ${column} = ? AND atan2(${column}, -1.0) = atan2(?, -1.0)`,
};

/** Adds the parameters of {@link identityCondition}. */
export function pushIdentity(parameters: SQLInputValue[], cell: Cell): void {
  if (cell.type === "null") return;
  const value = bindCell(cell);
  parameters.push(value);
  if (cell.type === "real") parameters.push(value);
}
