import { types } from "node:util";
import { KeysteadError } from "../errors.ts";
import { type JsonStructure, parseJson, writeJson } from "./json-text.ts";
import { maxBigintDigits } from "./limits.ts";
import { decodeUtf8, encodeUtf8, viewBytes } from "./text.ts";

/** A value that keeps its type when it is encrypted. Bytes come back as a `Uint8Array`. */
export type FieldValue = string | number | bigint | boolean | Date | Uint8Array | JsonStructure;

interface TypeCodec {
  /** First byte of the plaintext. */
  readonly code: number;
  /** The bytes of a value of this type, `undefined` for one of another. */
  readonly encode: (value: unknown) => Uint8Array | undefined;
  /** The value of bytes as `encode` writes them, `undefined` for others. */
  readonly decode: (bytes: Buffer) => FieldValue | undefined;
}

/** First byte of the plaintext of bytes. */
export const typedBytesCode = 6;

const maxDateMilliseconds = 8.64e15;
const bigintPattern = /^(?:0|-?[1-9][0-9]*)$/;

/** In the order in which values are matched; JSON takes what is left. */
const codecs: readonly TypeCodec[] = [
  {
    code: 1,
    encode: (value) => (typeof value === "string" ? encodeUtf8(value, "value") : undefined),
    decode: decodeUtf8,
  },
  {
    code: 2,
    encode: (value) => (typeof value === "number" ? encodeNumber(value) : undefined),
    decode: (bytes) => (bytes.length === 8 ? bytes.readDoubleBE() : undefined),
  },
  {
    code: 3,
    encode: (value) => (typeof value === "bigint" ? encodeBigint(value) : undefined),
    decode: decodeBigint,
  },
  {
    code: 4,
    encode: (value) => (typeof value === "boolean" ? Uint8Array.of(Number(value)) : undefined),
    decode: (bytes) => (bytes.length === 1 && bytes.readUInt8() <= 1 ? bytes.readUInt8() === 1 : undefined),
  },
  {
    code: 5,
    encode: (value) => (types.isDate(value) ? encodeDate(value) : undefined),
    decode: decodeDate,
  },
  {
    code: typedBytesCode,
    encode: (value) => (types.isUint8Array(value) ? value : undefined),
    decode: (bytes) => Uint8Array.from(bytes),
  },
  {
    code: 7,
    encode: (value) => (typeof value === "object" ? encodeJson(value) : undefined),
    decode: (bytes) => parseJson(decodeUtf8(bytes) ?? ""),
  },
];

const codecByCode: ReadonlyMap<number, TypeCodec> = new Map(codecs.map((codec) => [codec.code, codec]));

/**
 * Plaintext of a typed value: a byte that names the type, and the value.
 *
 * Numbers keep NaN, infinities and −0; dates their milliseconds. Objects and arrays are JSON, and must be sayable in it.
 * @throws KeysteadError `INVALID_ARGUMENT` for an invalid Date, `null`, `undefined`, functions, symbols, lone surrogates,
 * bigints of more than 4,096 digits, cyclic or too deep objects and those that hold what JSON can't say.
 */
export function encodeTypedValue(value: FieldValue): Buffer {
  for (const { code, encode } of codecs) {
    const bytes = encode(value);
    if (bytes !== undefined) return Buffer.concat([Uint8Array.of(code), bytes]);
  }
  throw invalid("value has a type that can't be encrypted: pass a string, number, bigint, boolean, Date, bytes, or JSON object or array");
}

/** The value that a typed plaintext holds; `undefined` unless it is exactly as {@link encodeTypedValue} writes one. Never throws. */
export function decodeTypedValue(bytes: Uint8Array): FieldValue | undefined {
  return codecByCode.get(bytes[0] ?? 0)?.decode(viewBytes(bytes).subarray(1));
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function encodeBigint(value: bigint): Buffer {
  const text = value.toString();
  if (text.length > maxBigintDigits) throw invalid(`bigint has more than ${maxBigintDigits.toString()} characters: pass it as bytes`);
  return Buffer.from(text, "latin1");
}

function decodeBigint(bytes: Buffer): bigint | undefined {
  if (bytes.length > maxBigintDigits) return undefined;
  const text = bytes.toString("latin1");
  return bigintPattern.test(text) ? BigInt(text) : undefined;
}

function encodeDate(value: Date): Buffer {
  const milliseconds = value.getTime();
  if (Number.isNaN(milliseconds)) throw invalid("Date is invalid: pass one that has a time");
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(milliseconds));
  return bytes;
}

function decodeDate(bytes: Buffer): Date | undefined {
  if (bytes.length !== 8) return undefined;
  const milliseconds = Number(bytes.readBigInt64BE());
  return Math.abs(milliseconds) <= maxDateMilliseconds ? new Date(milliseconds) : undefined;
}

function encodeJson(value: object | null): Buffer | undefined {
  return value === null ? undefined : encodeUtf8(writeJson(value), "value");
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
