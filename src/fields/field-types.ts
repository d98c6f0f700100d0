import { types } from "node:util";
import type { JsonStructure } from "../crypto/json-text.ts";
import type { FieldValue } from "../crypto/typed-value.ts";

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
 * was sealed as a bigint, which a field of type `number` gets as a number when it is safe.
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
    coerce: (value): number | undefined => (isNumber(value) ? value : isBigint(value) ? safeNumber(value) : undefined),
  },
  bigint: {
    holds: "a bigint",
    indexable: true,
    is: isBigint,
    coerce: (value): bigint | undefined => (isBigint(value) ? value : isWhole(value) ? BigInt(value) : undefined),
  },
  boolean: {
    holds: "a boolean",
    indexable: true,
    is: isBoolean,
    coerce: (value): boolean | undefined =>
      isBoolean(value) ? value : value === 1n || value === 1 ? true : isZero(value) ? false : undefined,
  },
  date: {
    holds: "a Date",
    indexable: true,
    is: isDate,
    coerce: (value): Date | undefined => (isDate(value) ? value : isString(value) ? isoDate(value) : undefined),
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

/** Only what `toISOString` wrote: other texts hold more than a Date does, such as microseconds or a zone. */
function isoDate(text: string): Date | undefined {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text ? date : undefined;
}
