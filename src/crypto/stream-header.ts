import { types } from "node:util";
import { KeysteadError } from "../errors.ts";
import { type CiphertextHeader, maxHeaderBytes, parseBinaryHeader } from "./ciphertext.ts";
import { maxSealedFileKeyBytes } from "./limits.ts";
import { viewBytes } from "./text.ts";

const lengthBytes = 2;
/** The fewest bytes that a sealed file key has. */
export const minSealedFileKeyBytes = 28;

/** The most bytes that tell whether a stream is one: those before its chunks. */
export const maxStreamHeadBytes = maxHeaderBytes + lengthBytes + maxSealedFileKeyBytes;

/** A stream in memory, taken apart. */
export interface ParsedStream extends CiphertextHeader {
  /** Payload of kind `file-key`. */
  readonly sealedFileKey: Buffer;
  /** Everything behind the head. */
  readonly chunks: Buffer;
}

/** The beginning of a stream, and what is left of it. */
export interface OpenedStream {
  readonly header: CiphertextHeader;
  /** Payload of kind `file-key`. */
  readonly sealedFileKey: Buffer;
  /** The sealed chunks. To be iterated once; leaving the iteration closes the source. */
  readonly rest: AsyncIterable<Uint8Array>;
}

/**
 * What a stream begins with: header, length and payload of the sealed file key.
 *
 * @param prefix - From `streamPrefix`.
 * @throws KeysteadError `INVALID_ARGUMENT` when the sealed file key has not 28 to 1,024 bytes.
 */
export function formatStreamHeader(prefix: Uint8Array, sealedFileKey: Uint8Array): Buffer {
  if (!isSealedFileKeyLength(sealedFileKey.length))
    throw new KeysteadError("INVALID_ARGUMENT", "sealed file key must have 28 to 1,024 bytes");
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(sealedFileKey.length);
  return Buffer.concat([prefix, length, sealedFileKey]);
}

/**
 * Takes apart a stream that is in memory as a whole; `undefined` unless it begins exactly as {@link formatStreamHeader} writes it.
 * Never throws. What comes behind the sealed file key is for opening to judge, chunk by chunk: a stream that was cut parses, and does
 * not open. So the first {@link maxStreamHeadBytes} tell. File key and chunks are views of the same memory.
 */
export function parseStream(bytes: Uint8Array): ParsedStream | undefined {
  const parsed = parseBinaryHeader(bytes, "ks1s:");
  if (parsed === undefined) return undefined;
  const view = viewBytes(bytes);
  const start = parsed.end + lengthBytes;
  const length = view.length < start ? 0 : view.readUInt16BE(parsed.end);
  const end = start + length;
  if (!isSealedFileKeyLength(length) || view.length < end) return undefined;
  const { key, version, fingerprint, label } = parsed.header;
  return { key, version, fingerprint, label, sealedFileKey: view.subarray(start, end), chunks: view.subarray(end) };
}

/**
 * Reads what {@link formatStreamHeader} wrote. No more than a head's size and one buffer of the source is kept.
 *
 * @throws KeysteadError `MALFORMED_CIPHERTEXT` when the source does not begin with a header; the source is closed then.
 * Errors of the source pass through.
 */
export async function readStreamHeader(source: AsyncIterable<Uint8Array>): Promise<OpenedStream> {
  const iterator = source[Symbol.asyncIterator]();
  const reader = new StreamReader(iterator);
  const ahead = await reader.peek(maxStreamHeadBytes);
  const parsed = parseStream(ahead);
  if (parsed === undefined) {
    await iterator.return?.();
    throw new KeysteadError("MALFORMED_CIPHERTEXT", "not an encrypted stream: it must begin with the header of one");
  }
  const { sealedFileKey, chunks, ...header } = parsed;
  reader.skip(ahead.length - chunks.length);
  return { header, sealedFileKey: Buffer.from(sealedFileKey), rest: reader.rest() };
}

function isSealedFileKeyLength(length: number): boolean {
  return length >= minSealedFileKeyBytes && length <= maxSealedFileKeyBytes;
}

/** A piece of a source. @throws KeysteadError `INVALID_ARGUMENT` for anything but bytes, such as text of a decoded stream */
export function assertPiece(piece: unknown): Uint8Array {
  if (types.isUint8Array(piece)) return piece;
  throw new KeysteadError("INVALID_ARGUMENT", "a stream must yield bytes (a Uint8Array each): open it without an encoding");
}

/** Looks ahead in a source. */
class StreamReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #ahead = Buffer.alloc(0);
  #ended = false;

  constructor(iterator: AsyncIterator<Uint8Array>) {
    this.#iterator = iterator;
  }

  /** At least that many bytes, fewer only where the source ends. */
  async peek(length: number): Promise<Buffer> {
    while (this.#ahead.length < length && !this.#ended) {
      const next = await this.#iterator.next();
      if (next.done === true) this.#ended = true;
      else this.#ahead = Buffer.concat([this.#ahead, assertPiece(next.value)]);
    }
    return this.#ahead;
  }

  skip(length: number): void {
    this.#ahead = this.#ahead.subarray(length);
  }

  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      if (this.#ahead.length > 0) yield this.#ahead;
      while (!this.#ended) {
        const next = await this.#iterator.next();
        if (next.done === true) this.#ended = true;
        else yield next.value;
      }
    } finally {
      if (!this.#ended) await this.#iterator.return?.();
    }
  }
}
