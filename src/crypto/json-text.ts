import { KeysteadError } from "../errors.ts";
import { maxJsonDepth } from "./limits.ts";

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** The JSON values that are not scalars. */
export type JsonStructure = readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * JSON text (RFC 8259) that parses back to an equal value. Unlike `JSON.stringify` it refuses what JSON can't say instead of
 * leaving it out or writing something else.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for NaN and infinities, `undefined`, functions, symbols, bigints, instances of
 * classes, sparse arrays, lone surrogates, cycles and nesting deeper than 100.
 */
export function writeJson(value: unknown): string {
  return write(value, maxJsonDepth);
}

/** The object or array that a JSON text spells; `undefined` when it spells something else, or what {@link writeJson} would refuse. */
export function parseJson(text: string): JsonStructure | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonValue(value, maxJsonDepth) && typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function write(value: unknown, depth: number): string {
  if (typeof value === "string") return writeString(value);
  if (typeof value === "number") return writeNumber(value);
  if (typeof value === "boolean" || value === null) return String(value);
  if (depth === 0) throw invalid(`JSON value is cyclic or nested deeper than ${maxJsonDepth.toString()}: pass a flatter one`);
  if (Array.isArray(value)) {
    return `[${Array.from({ length: value.length }, (_, index) => write(value[index], depth - 1)).join(",")}]`;
  }
  if (!isPlainObject(value))
    throw invalid("JSON value holds something that JSON can't say: pass strings, numbers, booleans, null, arrays and plain objects");
  return `{${Object.entries(value)
    .map(([name, entry]) => `${writeString(name)}:${write(entry, depth - 1)}`)
    .join(",")}}`;
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw invalid("JSON value contains a lone surrogate: pass well-formed text");
  return JSON.stringify(text);
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw invalid("JSON value holds NaN or an infinity: write it as text");
  return Object.is(value, -0) ? "-0" : value.toString();
}

function isJsonValue(value: unknown, depth: number): value is JsonValue {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "boolean" || value === null) return true;
  if (typeof value !== "object" || depth === 0) return false;
  return Object.entries(value).every(([name, entry]) => name.isWellFormed() && isJsonValue(entry, depth - 1));
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Object.getOwnPropertySymbols(value).length > 0) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
