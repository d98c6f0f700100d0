import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { listOf, number, type Shape, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { encodeBase64url } from "./base64url.ts";
import { encodeFields } from "./encode.ts";
import { hkdf } from "./kdf.ts";

/** What one generation of a blind index is made of. All of it but `generation` separates index keys from each other. */
export interface IndexSpec {
  readonly datasetId: string;
  /** Logical names, in the order in which values are given. */
  readonly columns: readonly string[];
  /** Kind of index with its parameters, for example `exact` or `last(4)`. */
  readonly kind: string;
  /** What values went through first; several, joined by commas, for several columns. */
  readonly normaliser: string;
  readonly normaliserVersion: string;
  readonly unicodeVersion: string;
  /** Bits of a token, 8 to 256. */
  readonly bits: number;
  /** Written before the token, 1 or more. */
  readonly generation: number;
  /** Version of the blind-index key. */
  readonly keyVersion: number;
}

/** What an {@link IndexSpec} is made of. */
export const indexSpecShape: Shape<IndexSpec> = {
  datasetId: text,
  columns: listOf(text),
  kind: text,
  normaliser: text,
  normaliserVersion: text,
  unicodeVersion: text,
  bits: number,
  generation: number,
  keyVersion: number,
};

/** The fewest bits that a token may have. */
export const minIndexBits = 8;

/** The most bits that a token may have. */
export const maxIndexBits = 256;

const indexKeyBytes = 32;

/**
 * The key of one blind index: `HKDF(version key, E("keystead index v1", dataset id, number of columns, columns …, kind,
 * normaliser, its version, Unicode version, bits), 32)`.
 */
export function deriveIndexKey(versionKey: KeyObject, spec: IndexSpec): KeyObject {
  const { columns, kind, normaliser, normaliserVersion, unicodeVersion, bits } = spec;
  const info = encodeFields(
    "keystead index v1",
    spec.datasetId,
    columns.length,
    ...columns,
    kind,
    normaliser,
    normaliserVersion,
    unicodeVersion,
    bits,
  );
  const bytes = hkdf(versionKey, info, indexKeyBytes);
  try {
    return createSecretKey(bytes);
  } finally {
    bytes.fill(0);
  }
}

/**
 * A function from the normalised values of a row, one per column, to its token `<generation>.<base64url>`: the leftmost bits
 * of `HMAC-SHA-256(index key, E(values …))`, spare bits of the last byte zero.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for bits outside 8 to 256, a generation below 1 or no columns; the function throws
 * it for another number of values and for lone surrogates.
 */
export function createIndexer(key: KeyObject, spec: IndexSpec): (values: readonly string[]) => string {
  checkSpec(spec);
  const indexKey = deriveIndexKey(key, spec);
  const { bits, generation } = spec;
  const columns = spec.columns.length;
  return (values) => {
    if (values.length !== columns) throw invalid(`the index has ${columns} columns: pass one value for each`);
    const mac = createHmac("sha256", indexKey)
      .update(encodeFields(...values))
      .digest();
    return `${generation}.${encodeBase64url(leftmostBits(mac, bits))}`;
  };
}

function leftmostBits(bytes: Buffer, bits: number): Buffer {
  const kept = bytes.subarray(0, Math.ceil(bits / 8));
  const spare = kept.length * 8 - bits;
  const last = kept.length - 1;
  kept.writeUInt8(kept.readUInt8(last) & (0xff << spare) & 0xff, last);
  return kept;
}

function checkSpec({ bits, generation, columns }: IndexSpec): void {
  if (!Number.isInteger(bits) || bits < minIndexBits || bits > maxIndexBits) {
    throw invalid(`a blind index keeps ${minIndexBits} to ${maxIndexBits} bits: choose a number in that range`);
  }
  if (!Number.isSafeInteger(generation) || generation < 1) throw invalid("index generations are numbered from 1: pass a whole number");
  if (columns.length === 0) throw invalid("a blind index has at least one column: name it");
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
