import type { CanonicalValue } from "../fields/canonical-text.ts";
import type { BlindIndex } from "../fields/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import { plaintextToValue, textCell } from "./cells.ts";
import type { Cell } from "./source.ts";

/** A blind index of a dataset, opened. */
export interface RowIndex {
  readonly name: string;
  /** Physical column of the tokens. */
  readonly column: string;
  /** Logical columns that it is made of. */
  readonly columns: readonly string[];
  /** How each of them is sealed. */
  readonly kinds: readonly ("typed" | "value")[];
  readonly blind: BlindIndex;
  /** False while rows may lack tokens. */
  readonly complete: boolean;
}

/**
 * The cell of an index column beside these plaintexts (undefined: NULL); NULL when there is nothing to index.
 * @throws KeysteadError `INVALID_ARGUMENT` for values that have no canonical text, such as floating point and JSON
 */
export function tokenCell(index: RowIndex, plaintexts: ReadonlyMap<string, Uint8Array | undefined>): Cell {
  const token = index.blind.token(indexedValues(index, plaintexts));
  return token === null ? { type: "null" } : textCell(token);
}

/** The values that an index is made of, from plaintexts by logical column. */
export function indexedValues(
  index: Pick<RowIndex, "columns" | "kinds">,
  plaintexts: ReadonlyMap<string, Uint8Array | undefined>,
): CanonicalValue[] {
  return index.columns.map((name, position) => {
    const plaintext = plaintexts.get(name);
    if (plaintext === undefined) return null;
    const value = plaintextToValue(plaintext, index.kinds[position] ?? "typed", "text");
    if (value === undefined) return null;
    if (typeof value !== "object" || value instanceof Date || value instanceof Uint8Array) return value;
    throw new KeysteadError("INVALID_ARGUMENT", `a value of column ${name} is JSON, which no index holds; index another column`);
  });
}
