import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import type { RandomSource } from "../crypto/random.ts";
import { fileKeyBytes, formatStreamHeader, type ParsedStream, streamPrefix } from "../crypto/stream.ts";
import { typedBytesCode } from "../crypto/typed-value.ts";
import { openWholeStream, sealWholeStream, wholeStreamHolds } from "../crypto/whole-stream.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { KeyHandle } from "../keys/key-handle.ts";
import { readCell, sealedCell } from "./cells.ts";
import type { Cell } from "./source.ts";

/** How a protected column keeps its values; bytes of a stream are a value of it like any other. */
export type ColumnKind = "typed" | "value";

/** A ciphertext of a cell, taken apart. */
export type SealedContent = ParsedCiphertext | ParsedStream;

/** The form in which a value is sealed. A stream stays one. */
export type SealedForm = "text" | "binary" | "stream";

/** The contexts of one column in one row, rendered when they are first asked for. */
export interface ColumnContexts {
  /** @throws KeysteadError `INVALID_ARGUMENT` when a context column holds what has no canonical text of its type */
  readonly now: Context;
  /** During `recontext`: what the column moves to. @throws as `now` */
  readonly next: Context | undefined;
}

/** What opening needs of a column. */
export interface Opening {
  readonly kind: ColumnKind;
  /** Handle of the key that a header names. */
  readonly opener: (keyName: string) => KeyHandle;
}

/** What sealing needs of a column. */
export interface Sealing {
  readonly kind: ColumnKind;
  readonly key: KeyHandle;
  readonly random: RandomSource;
}

/** What stands before bytes in a plaintext of a kind: the code of their type, or nothing. */
const beforeBytes: Readonly<Record<ColumnKind, Uint8Array>> = { typed: Uint8Array.of(typedBytesCode), value: new Uint8Array() };

/** True for a stream. */
export function isStream(sealed: SealedContent): sealed is ParsedStream {
  return "chunks" in sealed;
}

/**
 * The plaintext of a ciphertext, as the column's kind writes it; while a `recontext` runs, under either context. A stream opens to its
 * bytes as a value.
 * @throws KeysteadError `DECRYPTION_FAILED`, and what the key says
 */
export function open(sealed: SealedContent, column: Opening, contexts: ColumnContexts): Buffer {
  return openMoved(sealed, column, contexts) ?? openUnder(sealed, column, contexts.now);
}

/**
 * The plaintext of what a `recontext` moved already; undefined for what it did not move, as a row that has no context in the
 * template that it moves to.
 * @throws as {@link open}
 */
export function openMoved(sealed: SealedContent, column: Opening, contexts: ColumnContexts): Buffer | undefined {
  try {
    const { next } = contexts;
    return next === undefined ? undefined : openUnder(sealed, column, next);
  } catch (error) {
    if (isKeysteadError(error, "DECRYPTION_FAILED") || isKeysteadError(error, "INVALID_ARGUMENT")) return undefined;
    throw error;
  }
}

/** The plaintext under one context. @throws as {@link open} */
export function openUnder(sealed: SealedContent, { opener, kind }: Opening, context: Context): Buffer {
  const key = opener(sealed.key);
  return isStream(sealed)
    ? withFileKey(key, sealed, context, (fileKey) => openWholeStream(fileKey, sealed.chunks, beforeBytes[kind]))
    : key.openBytes(kind, sealed, context);
}

/** Seals, opens again and compares: what is stored is known to open. */
export function seal(plaintext: Uint8Array, column: Sealing, form: SealedForm, context: Context): Cell {
  const cell = sealedCell(
    form === "stream" ? sealStream(plaintext, column, context) : column.key.sealBytes(column.kind, form, plaintext, context),
  );
  if (!opensTo(cell, plaintext, column, context)) {
    throw new KeysteadError("INTERNAL", "a value did not open to itself after sealing; nothing was stored, report this");
  }
  return cell;
}

function sealStream(plaintext: Uint8Array, { key, kind, random }: Sealing, context: Context): Buffer {
  const fileKey = random.bytes(fileKeyBytes);
  try {
    const { label, payload } = key.sealFileKey(fileKey, context);
    const head = formatStreamHeader(streamPrefix(key.name, label), payload);
    return sealWholeStream(head, fileKey, plaintext.subarray(beforeBytes[kind].length));
  } finally {
    fileKey.fill(0);
  }
}

function opensTo(cell: Cell, plaintext: Uint8Array, { key, kind }: Sealing, context: Context): boolean {
  const content = readCell(cell);
  if (content.kind !== "ciphertext") return false;
  const { sealed } = content;
  if (!isStream(sealed)) return Buffer.compare(key.openBytes(kind, sealed, context), plaintext) === 0;
  // Chunk by chunk: a stream may be large, and is in memory twice already.
  const bytes = plaintext.subarray(beforeBytes[kind].length);
  return withFileKey(key, sealed, context, (fileKey) => wholeStreamHolds(fileKey, sealed.chunks, bytes));
}

function withFileKey<T>(key: KeyHandle, stream: ParsedStream, context: Context, use: (fileKey: Buffer) => T): T {
  const { key: name, version, fingerprint, label, sealedFileKey: payload } = stream;
  const fileKey = key.openFileKey({ key: name, version, fingerprint, label, payload }, context);
  try {
    return use(fileKey);
  } finally {
    fileKey.fill(0);
  }
}
