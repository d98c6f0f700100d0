import { types } from "node:util";
import { encodeBase64url } from "../crypto/base64url.ts";
import { KeysteadError } from "../errors.ts";

/** A value that has a canonical text. `null` is here to be refused with a good message: an absent value identifies nothing. */
export type CanonicalValue = string | number | bigint | boolean | Date | Uint8Array | null | undefined;

/** Names of the types that have a canonical text. */
export const canonicalTypes = ["integer", "numeric", "boolean", "uuid", "date", "timestamptz", "text", "bytes"] as const;

/** What a column holds, where the value alone does not tell: a database without a type for it keeps it as text or integer. */
export type CanonicalType = (typeof canonicalTypes)[number];

/** Text of a value of the type; `undefined` for a value that the type does not have. */
type Writer = (value: unknown) => string | undefined;

/** Digits that a `numeric` may have: PostgreSQL has 131,072 before the point, which no key is. */
const maxNumericDigits = 1_000;

const numericPattern = /^(?<sign>[+-]?)(?<whole>\d+)(?:\.(?<fraction>\d*))?(?:[eE](?<exponent>[+-]?\d{1,4}))?$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const timestampPattern =
  /^(?<date>\d{4}-\d{2}-\d{2})[T ](?<time>\d{2}:\d{2}:\d{2})(?:\.(?<fraction>\d{1,6}))?(?<zone>Z|[+-]\d{2}(?::?\d{2})?)$/;

/** One row per type. Each takes what databases and programs hold for it, and writes one text. */
const writers: Readonly<Record<CanonicalType, Writer>> = {
  integer: (value) => integerText(typeof value === "string" && /^-?\d{1,1000}$/.test(value) ? BigInt(value) : value),
  numeric: (value) => (typeof value === "string" ? numericText(value) : integerText(value)),
  boolean: booleanText,
  uuid: (value) => (typeof value === "string" && uuidPattern.test(value.toLowerCase()) ? value.toLowerCase() : undefined),
  date: (value) => (typeof value === "string" && isDate(value) ? value : undefined),
  timestamptz: (value) => (types.isDate(value) ? instantText(value, 0) : typeof value === "string" ? parsedInstantText(value) : undefined),
  text: (value) => (typeof value === "string" ? value : undefined),
  bytes: (value) => (types.isUint8Array(value) ? encodeBase64url(value) : undefined),
};

/**
 * The one text of a value that contexts and indexes use, whatever language or driver it comes from: integers in decimal,
 * numeric without exponent and trailing zeros, `true` or `false`, uuid in lower case, `YYYY-MM-DD`, timestamps in UTC with six
 * fraction digits and `Z`, text as it is, bytes in base64url.
 *
 * Without a type the value tells: a `Date` is a timestamp, a `number` an integer.
 *
 * @param what - Names the value in errors, for example `column id`.
 * @throws KeysteadError `INVALID_ARGUMENT` for null, fractions and other floating point, infinities, invalid dates, and what
 * the type does not have.
 */
export function canonicalText(value: unknown, what: string, type?: CanonicalType): string {
  if (value === null || value === undefined) throw invalid(`${what} is null: bind a column that always has a value`);
  const kind = type ?? typeOf(value);
  const text = kind === undefined ? undefined : writers[kind](value);
  if (text !== undefined) return text;
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw floatingPoint(what);
  throw invalid(`${what} is no value ${kind === undefined ? "that has one text" : `of type ${kind}`}: correct it, or bind another column`);
}

/** The text that `canonicalText` writes for a value of the type; undefined for what the type does not have. */
export function textOfType(type: CanonicalType, value: unknown): string | undefined {
  return writers[type](value);
}

/** The error of a floating-point value, which may have several texts. */
export function floatingPoint(what: string): KeysteadError {
  return invalid(`${what} is floating point, which has no canonical text: keep it as text or as a whole number, or bind another column`);
}

/** True for a value of a type that can have a canonical text. */
export function isCanonicalValue(value: unknown): value is CanonicalValue {
  return value === null || value === undefined || typeOf(value) !== undefined;
}

function typeOf(value: unknown): CanonicalType | undefined {
  if (typeof value === "string") return "text";
  if (typeof value === "bigint" || typeof value === "number") return "integer";
  if (typeof value === "boolean") return "boolean";
  if (types.isDate(value)) return "timestamptz";
  return types.isUint8Array(value) ? "bytes" : undefined;
}

function integerText(value: unknown): string | undefined {
  if (typeof value === "bigint") return value.toString();
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

function booleanText(value: unknown): string | undefined {
  if (typeof value === "boolean") return String(value);
  if (value === 0 || value === 0n) return "false";
  return value === 1 || value === 1n ? "true" : undefined;
}

function numericText(value: string): string | undefined {
  const { sign, whole, fraction = "", exponent = "0" } = numericPattern.exec(value)?.groups ?? {};
  if (whole === undefined) return undefined;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (digits.length + Math.abs(Number(exponent)) > maxNumericDigits) return undefined;
  const padded = digits.padStart(digits.length - Math.min(point, 0), "0").padEnd(point, "0");
  const split = Math.max(point, 0);
  const head = padded.slice(0, split).replace(/^0+/, "") || "0";
  const tail = padded.slice(split).replace(/0+$/, "");
  const plain = tail === "" ? head : `${head}.${tail}`;
  return sign === "-" && plain !== "0" ? `-${plain}` : plain;
}

function isDate(value: string): boolean {
  const midnight = /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  return midnight !== undefined && !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(value);
}

function parsedInstantText(value: string): string | undefined {
  const { date, time, fraction = "", zone = "" } = timestampPattern.exec(value)?.groups ?? {};
  if (date === undefined || time === undefined || !isDate(date)) return undefined;
  const offset = zone === "Z" ? zone : `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}`;
  return instantText(new Date(`${date}T${time}${offset}`), Number(fraction.padEnd(6, "0")));
}

/** Years beyond four digits have no such text. */
function instantText(instant: Date, microseconds: number): string | undefined {
  if (Number.isNaN(instant.getTime())) return undefined;
  const iso = instant.toISOString();
  const fraction = microseconds > 0 ? String(microseconds).padStart(6, "0") : `${iso.slice(20, 23)}000`;
  return iso.length === 24 ? `${iso.slice(0, 19)}.${fraction}Z` : undefined;
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
