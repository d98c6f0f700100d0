import type { Cell } from "../source.ts";
import type { Parameter } from "./postgres-connection.ts";

type Value = string | Buffer | null;

/** Values of several rows as parameters of a statement, which joins them as table `n`: a column each, and `ord` from 1 on. */
export class ReplacementRows {
  readonly #types: ("text" | "bytea")[] = [];
  readonly #values: Value[][] = [];

  /** Adds a column of the rows' values. @returns SQL of it */
  add(type: "text" | "bytea", values: readonly Value[]): string {
    this.#types.push(type);
    return `n.c${String(this.#values.push([...values]) - 1)}`;
  }

  /** SQL of the table. A single row, which may be very large, is not made into a text. */
  get source(): string {
    const names = this.#types.map((_, index) => `c${String(index)}`);
    if (this.#isSingle) {
      return `(select ${this.#types.map((type, index) => `$${String(index + 1)}::${type} as c${String(index)}`).join(", ")}, 1 as ord) as n`;
    }
    const arrays = this.#types.map((type, index) => `$${String(index + 1)}::${type}[]`);
    return `unnest(${arrays.join(", ")}) with ordinality as n(${[...names, "ord"].join(", ")})`;
  }

  get parameters(): readonly Parameter[] {
    return this.#isSingle ? this.#values.map(([value]) => value ?? null) : this.#values;
  }

  get #isSingle(): boolean {
    return this.#values[0]?.length === 1;
  }
}

/** What a row's cell is to a statement; null for NULL, undefined for a cell that the column can't hold. */
export function valueOf(cell: Cell, write: (cell: Cell) => string | Buffer | undefined): Value | undefined {
  return cell.type === "null" ? null : write(cell);
}
