import { types } from "node:util";
import type { JsonStructure } from "../crypto/json-text.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { textOfType } from "./canonical-text.ts";

/** What a field of type `json` holds, beside null. */
export type JsonFieldValue = string | number | boolean | JsonStructure;

interface FieldType {
  /** What a program holds for it, in error messages. */
  readonly holds: string;
  /** Whether its values have one text, which a blind index needs. */
  readonly indexable: boolean;
  is(value: unknown): boolean;
  /** The value as this type, when nothing is lost by it. */
  coerce(value: FieldValue): FieldValue | undefined;
}

const isString = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";
const isBigint = (value: unknown): value is bigint => typeof value === "bigint";
const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
const isDate = (value: unknown): value is Date => types.isDate(value);
const isBytes = (value: unknown): value is Uint8Array => types.isUint8Array(value);
const isStructure = (value: unknown): value is JsonStructure =>
  typeof value === "object" && value !== null && !isDate(value) && !ArrayBuffer.isView(value);
const isJson = (value: unknown): value is JsonFieldValue => isString(value) || isNumber(value) || isBoolean(value) || isStructure(value);

/**
 * The types of fields. `coerce` takes what a database column of another storage type left in the ciphertext: an INTEGER column
 * was sealed as a bigint, which a field of type `number` gets as a number when it is safe; a text column as text, which a number gets
 * when it says the same.
 */
export const fieldTypes = {
  string: {
    holds: "a string",
    indexable: true,
    is: isString,
    coerce: (value): string | undefined => (isString(value) ? value : isBigint(value) ? value.toString() : undefined),
  },
  number: {
    holds: "a number",
    indexable: true,
    is: isNumber,
    coerce: (value): number | undefined =>
      isNumber(value) ? value : isBigint(value) ? safeNumber(value) : isString(value) ? numberOf(value) : undefined,
  },
  bigint: {
    holds: "a bigint",
    indexable: true,
    is: isBigint,
    coerce: (value): bigint | undefined =>
      isBigint(value) ? value : isWhole(value) ? BigInt(value) : isString(value) ? wholeOf(value) : undefined,
  },
  boolean: {
    holds: "a boolean",
    indexable: true,
    is: isBoolean,
    coerce: (value): boolean | undefined =>
      isBoolean(value)
        ? value
        : value === 1n || value === 1 || value === "true"
          ? true
          : isZero(value) || value === "false"
            ? false
            : undefined,
  },
  date: {
    holds: "a Date",
    indexable: true,
    is: isDate,
    coerce: (value): Date | undefined => (isDate(value) ? value : isString(value) ? dateOf(value) : undefined),
  },
  bytes: {
    holds: "bytes",
    indexable: true,
    is: isBytes,
    coerce: (value): Uint8Array | undefined => (isBytes(value) ? value : undefined),
  },
  json: {
    holds: "a JSON value",
    indexable: false,
    is: isJson,
    coerce: (value): JsonFieldValue | undefined => (isJson(value) ? value : undefined),
  },
} as const satisfies Readonly<Record<string, FieldType>>;

/** Name of a field's type. */
export type FieldTypeName = keyof typeof fieldTypes;

/** What a program holds for a field of the type, beside null. */
export type ValueOfType<N extends FieldTypeName> = Exclude<ReturnType<(typeof fieldTypes)[N]["coerce"]>, undefined>;

function isWhole(value: FieldValue): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function isZero(value: FieldValue): boolean {
  return value === 0n || Object.is(value, 0);
}

function safeNumber(value: bigint): number | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Text of the same number: `1.50` is 1.5, but `007` is a code, and digits beyond those of a number would be lost. */
function numberOf(text: string): number | undefined {
  const number = Number(text);
  const written = textOfType("numeric", text);
  return /^-?(?:0(?!\d)|[1-9])/.test(text) && written !== undefined && written === textOfType("numeric", String(number))
    ? number
    : undefined;
}

function wholeOf(text: string): bigint | undefined {
  return /^(?:0|-?[1-9]\d{0,999})$/.test(text) ? BigInt(text) : undefined;
}

/** A day is its beginning in UTC. Of other texts those that name an instant, with its zone: one with microseconds is no Date. */
function dateOf(text: string): Date | undefined {
  const instant = textOfType("date", text) === undefined ? textOfType("timestamptz", text) : `${text}T00:00:00.000000Z`;
  return instant?.endsWith("000Z") === true ? new Date(instant) : isoDate(text);
}

/** What `toISOString` wrote, years beyond four digits included. */
function isoDate(text: string): Date | undefined {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : undefined;
}
