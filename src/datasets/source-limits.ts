import { KeysteadError } from "../errors.ts";
import type { Cell } from "./source.ts";

/** Rows that a page may have. */
const maxPageRows = 100_000;

/**
 * A page ends early when its cells take this many bytes, so that a table of large values fits into memory, too: whoever works on a page
 * has each of its values in memory several times over.
 */
export const maxPageBytes = 2 ** 20;

/** Key versions that a census tells apart, in all columns together. */
export const maxHeaderGroups = 10_000;

/** Generations that one column may have; there are two at a time, normally. */
export const maxGenerationGroups = 10_000;

/** @throws KeysteadError `INVALID_ARGUMENT` unless the number is one of rows of a page. */
export function requireLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > maxPageRows) {
    throw new KeysteadError("INVALID_ARGUMENT", `limit of rows must be a whole number from 1 to ${maxPageRows}`);
  }
}

/** The error of a column with more headers than {@link maxHeaderGroups}. */
export function tooManyHeaders(column: string): KeysteadError {
  return new KeysteadError(
    "DATABASE_FAILED",
    `column "${column}": more than ${maxHeaderGroups} different ciphertext headers, far more than there can be key versions: find out who writes them`,
  );
}

/** The error of a column with more generations than {@link maxGenerationGroups}. */
export function tooManyGenerations(column: string): KeysteadError {
  return new KeysteadError(
    "DATABASE_FAILED",
    `column "${column}": more than ${maxGenerationGroups} index generations, far more than there can be: find out who writes them`,
  );
}

/** Bytes that a cell takes in memory, about. */
export function cellSize(cell: Cell): number {
  return "bytes" in cell ? cell.bytes.length + 64 : 64;
}
