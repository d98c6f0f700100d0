import type { SQLOutputValue } from "node:sqlite";
import type { ShadowedColumn } from "../source.ts";
import { quoteIdentifier } from "./identifier.ts";
import type { ValueCounter } from "./table-scan.ts";

/** Counts the rows that have plaintext and no ciphertext beside it. */
export class UncoveredCounter implements ValueCounter {
  readonly column: string;
  readonly expression: string;
  #rows = 0;

  constructor({ plaintext, column }: ShadowedColumn) {
    this.column = column;
    this.expression = `CASE WHEN ${quoteIdentifier(plaintext)} IS NOT NULL AND ${quoteIdentifier(column)} IS NULL THEN 'uncovered' END`;
  }

  count(value: SQLOutputValue): void {
    if (value !== null) this.#rows += 1;
  }

  get rows(): number {
    return this.#rows;
  }
}
