import type { Context } from "../crypto/context.ts";
import { encodeUtf8 } from "../crypto/text.ts";
import { maxContextNameBytes, maxContextPairs } from "../crypto/limits.ts";
import { KeysteadError } from "../errors.ts";
import { canonicalText, type CanonicalType } from "./canonical-text.ts";

/**
 * Pairs of a context, as text with placeholders: `{ table: "person", row: "{id}" }`. `{name}` is a column of the record,
 * `{{` and `}}` are braces. A pair takes one column at most: of two, one text could stand for several pairs of values, and
 * a ciphertext would open in another row.
 */
export type ContextTemplate = Readonly<Record<string, string>>;

/** The columns that a template may name: their names, or their types where a value does not tell its own. */
export type ContextColumns = readonly string[] | Readonly<Record<string, CanonicalType | undefined>>;

/** A template that was checked. */
export interface CompiledContextTemplate {
  /** Columns that it names. */
  readonly columns: readonly string[];
  /** The pairs of a row, without the automatic `column`. */
  readonly pairs: readonly ContextPair[];
}

interface ContextPair {
  readonly name: string;
  readonly before: string;
  readonly column: string | undefined;
  readonly type: CanonicalType | undefined;
  readonly after: string;
}

/** The pair that every field's context has beside those of the template. */
export const columnPair = "column";

const piecePattern = /\{\{|\}\}|\{(?<column>[^{}]*)\}|[{}]/g;

/**
 * Checks a template against the columns there are.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for an unknown column, two columns in one pair, a lone brace, a pair called
 * `column`, a name that is empty or too long, and too many pairs.
 */
export function compileContextTemplate(template: ContextTemplate, columns: ContextColumns): CompiledContextTemplate {
  const typeByColumn: ReadonlyMap<string, CanonicalType | undefined> = isNames(columns)
    ? new Map(columns.map((column) => [column, undefined]))
    : new Map(Object.entries(columns));
  const pairs = Object.entries(template).map(([name, text]) => compilePair(name, text, typeByColumn));
  if (pairs.length >= maxContextPairs) throw invalid(`context template has more than ${maxContextPairs - 1} pairs: use fewer`);
  return { pairs, columns: [...new Set(pairs.flatMap(({ column }) => (column === undefined ? [] : [column])))] };
}

/**
 * The context of a row, and of one of its columns when it is named.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` naming the column whose value has no canonical text, such as null.
 */
export function renderContext(template: CompiledContextTemplate, values: Readonly<Record<string, unknown>>, column?: string): Context {
  const pairs = template.pairs.map((pair) => [pair.name, pairText(pair, values)] as const);
  const row = Object.fromEntries(pairs);
  return column === undefined ? row : contextOfColumn(row, column);
}

/** The context of one column, from that of its row. */
export function contextOfColumn(row: Context, column: string): Context {
  return { ...row, [columnPair]: column };
}

function pairText({ before, column, type, after }: ContextPair, values: Readonly<Record<string, unknown>>): string {
  if (column === undefined) return before;
  const value = Object.hasOwn(values, column) ? values[column] : undefined;
  return before + canonicalText(value, `context column ${column}`, type) + after;
}

function compilePair(name: string, text: string, typeByColumn: ReadonlyMap<string, CanonicalType | undefined>): ContextPair {
  checkName(name);
  const pieces: { before: string; column: string | undefined; after: string } = { before: "", column: undefined, after: "" };
  const append = (literal: string): void => {
    if (pieces.column === undefined) pieces.before += literal;
    else pieces.after += literal;
  };
  let end = 0;
  for (const match of encodable(text, name).matchAll(piecePattern)) {
    append(text.slice(end, match.index));
    end = match.index + match[0].length;
    const column = match.groups?.["column"];
    if (match[0] === "{{" || match[0] === "}}") append(match[0].slice(1));
    else if (column === undefined) throw invalid(`context template ${name} has a lone brace: write it twice`);
    else if (!typeByColumn.has(column))
      throw invalid(`context template ${name} names an unknown column: use one of ${listed(typeByColumn)}`);
    else if (pieces.column !== undefined) throw invalid(`context template ${name} names two columns: give each a pair of its own`);
    else pieces.column = column;
  }
  append(text.slice(end));
  return { name, ...pieces, type: pieces.column === undefined ? undefined : typeByColumn.get(pieces.column) };
}

function checkName(name: string): void {
  if (name === columnPair) throw invalid(`context template names ${columnPair}, which is added by itself: leave it out`);
  const length = encodeUtf8(name, "name of a context pair").length;
  if (length < 1 || length > maxContextNameBytes)
    throw invalid(`name of a context pair has ${length} bytes: use 1 to ${maxContextNameBytes}`);
}

function encodable(text: unknown, name: string): string {
  if (typeof text === "string" && text.isWellFormed()) return text;
  throw invalid(`context template ${name} is not well-formed text: write its value as a string`);
}

function listed(columns: ReadonlyMap<string, unknown>): string {
  return columns.size === 0 ? "none, because no columns were declared" : [...columns.keys()].join(", ");
}

function isNames(columns: ContextColumns): columns is readonly string[] {
  return Array.isArray(columns);
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
