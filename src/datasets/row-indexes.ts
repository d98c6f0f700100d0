import type { CanonicalValue } from "../fields/canonical-text.ts";
import type { BlindIndex } from "../fields/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import { plaintextToValue, textCell } from "./cells.ts";
import type { Cell } from "./source.ts";

/** What a blind index is made of. */
export interface IndexedColumns {
  /** Logical columns. */
  readonly columns: readonly string[];
  /** How each of them is sealed. */
  readonly kinds: readonly ("typed" | "value")[];
}

/** A generation of a blind index, opened for jobs. */
export interface RowIndex extends IndexedColumns {
  /** Of the index. */
  readonly name: string;
  /** Physical column of the tokens. */
  readonly column: string;
  /** Undefined for a generation that is being dropped: its column is emptied, whatever the row says. */
  readonly blind: BlindIndex | undefined;
}

/** The cell beside a row without anything to index. */
export const noToken: Cell = { type: "null" };

/**
 * The cell of an index column beside these plaintexts (undefined: NULL); NULL when there is nothing to index.
 * @throws KeysteadError `INVALID_ARGUMENT` for values that have no canonical text, such as floating point and JSON
 */
export function tokenCell(blind: BlindIndex, index: IndexedColumns, plaintexts: ReadonlyMap<string, Uint8Array | undefined>): Cell {
  const token = blind.token(indexedValues(index, plaintexts));
  return token === null ? noToken : textCell(token);
}

/** The values that an index is made of, from plaintexts by logical column. */
export function indexedValues(index: IndexedColumns, plaintexts: ReadonlyMap<string, Uint8Array | undefined>): CanonicalValue[] {
  return index.columns.map((name, position) => {
    const plaintext = plaintexts.get(name);
    if (plaintext === undefined) return null;
    const value = plaintextToValue(plaintext, index.kinds[position] ?? "typed", "text");
    if (value === undefined) return null;
    if (typeof value !== "object" || value instanceof Date || value instanceof Uint8Array) return value;
    throw new KeysteadError("INVALID_ARGUMENT", `a value of column ${name} is JSON, which no index holds; index another column`);
  });
}

/** How the columns of an index are sealed. */
export function indexedColumns(
  protectedColumns: readonly { readonly name: string; readonly kind: "typed" | "value" }[],
  columns: readonly string[],
): IndexedColumns {
  return { columns, kinds: columns.map((name) => protectedColumns.find((column) => column.name === name)?.kind ?? "typed") };
}
