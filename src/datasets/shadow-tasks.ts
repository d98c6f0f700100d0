import { isDeepStrictEqual } from "node:util";
import type { FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import { textOfType } from "../fields/canonical-text.ts";
import { cellToValue, plaintextToValue, readCell } from "./cells.ts";
import { applyTask, type ColumnWork, type JobKind, type ValueOutcome } from "./row-tasks.ts";
import { type ColumnContexts, open } from "./sealed-content.ts";
import type { Cell } from "./source.ts";

/** What a job makes of a row's ciphertext that stands beside its plaintext. */
export interface ShadowOutcome extends ValueOutcome {
  /** The plaintext is to be erased. */
  readonly erases?: boolean;
}

/** A row's plaintext and the ciphertext beside it. */
export interface ShadowCells {
  readonly plaintext: Cell;
  readonly sealed: Cell;
  readonly use: NonNullable<ColumnWork["plaintext"]>["use"];
}

/**
 * What `protect` and `erase` do where ciphertext stands in a column beside its plaintext. Until it is cut over the plaintext counts: what
 * is missing or stale is sealed. After that two values that differ are reported, because nobody knows which one is right.
 * @throws KeysteadError when the row can't be worked on: it is reported and left alone
 */
export function applyShadowTask(
  kind: "protect" | "erase",
  { plaintext: cell, sealed, use }: ShadowCells,
  work: ColumnWork,
  contexts: ColumnContexts,
): ShadowOutcome {
  const content = readCell(sealed);
  if (content.kind === "plaintext")
    throw invalid("the column for ciphertext holds something else: set it to NULL, so that it is made of the plaintext");
  if (readCell(cell).kind === "ciphertext") throw invalid("the column for plaintext holds ciphertext: write the plaintext back, or NULL");
  const opened = content.kind === "null" ? undefined : open(content.sealed, work, contexts);
  if (kind === "erase") {
    if (use !== "none" || cell.type === "null") return outcomeOf(opened);
    if (opened === undefined || !holds(cell, opened, work)) throw differ;
    return { ...outcomeOf(opened), erases: true };
  }
  if (cell.type === "null") {
    if (opened === undefined) return {};
    if (use === "read") return { cell: { type: "null" } };
    if (use === "written") throw differ;
    return outcomeOf(opened);
  }
  if (opened !== undefined && holds(cell, opened, work)) return outcomeOf(opened);
  if (opened !== undefined && use !== "read") throw differ;
  return applyTask("protect", cell, work, contexts, undefined);
}

/** Jobs that look at the plaintext, too; to all others the ciphertext is a column like any other. */
export function isShadowKind(kind: JobKind): kind is "protect" | "erase" {
  return kind === "protect" || kind === "erase";
}

/** Names neither value. */
const differ = new KeysteadError(
  "INVALID_ARGUMENT",
  "plaintext and ciphertext are not the same value: some application writes the plaintext alone; start it anew, and write the right value to both",
);

function outcomeOf(plaintext: Uint8Array | undefined): ShadowOutcome {
  return plaintext === undefined ? {} : { plaintext };
}

/** True when a cell holds the value of a plaintext. An application and a job may give it different types: a number and an integer. */
function holds(cell: Cell, plaintext: Uint8Array, { kind }: ColumnWork): boolean {
  if (kind === "value") return "bytes" in cell && Buffer.compare(cell.bytes, plaintext) === 0;
  const value = plaintextToValue(plaintext, kind, "text");
  const held = cellToValue(cell);
  return value !== undefined && held !== undefined && isSame(held, value);
}

function isSame(held: NonNullable<ReturnType<typeof cellToValue>>, value: FieldValue): boolean {
  if (held instanceof Uint8Array) return value instanceof Uint8Array && Buffer.compare(held, value) === 0;
  if (Object.is(held, value)) return true;
  if (typeof value === "string") return typeof held === "bigint" && held.toString() === value;
  if (typeof value === "boolean") return textOfType("boolean", held) === String(value) || held === String(value);
  if (typeof value === "bigint")
    return typeof held === "string" ? sameText("integer", held, value) : Number.isSafeInteger(held) && BigInt(held) === value;
  if (typeof value === "number") {
    if (typeof held === "string") return sameText("numeric", held, String(value));
    return typeof held === "bigint" && Number.isSafeInteger(value) && BigInt(value) === held;
  }
  return typeof held === "string" && (value instanceof Date ? isInstant(held, value) : isJson(held, value));
}

function sameText(type: "numeric" | "integer" | "timestamptz", held: string, value: unknown): boolean {
  const text = textOfType(type, held);
  return text !== undefined && text === textOfType(type, value);
}

function isInstant(held: string, value: Date): boolean {
  const day = textOfType("date", held);
  return sameText("timestamptz", day === undefined ? held : `${day}T00:00:00Z`, value);
}

function isJson(held: string, value: FieldValue): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(held), value);
  } catch {
    return false;
  }
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
