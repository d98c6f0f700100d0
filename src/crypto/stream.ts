import { createSecretKey, type KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { aes256GcmCipher, nonceBytes, tagBytes } from "./aead-cipher.ts";
import { hkdf } from "./kdf.ts";
import { assertPiece } from "./stream-header.ts";

export { streamPrefix } from "./ciphertext.ts";
export { formatStreamHeader, type OpenedStream, readStreamHeader } from "./stream-header.ts";

/** Plaintext bytes of every chunk of a stream but the last. */
export const streamChunkBytes = 65_536;

/** Bytes of the key that a stream's chunks are sealed under. */
export const fileKeyBytes = 32;

const sealedChunkBytes = streamChunkBytes + tagBytes;
const info = Buffer.from("keystead stream v1", "latin1");
const noAad = Buffer.alloc(0);
const chunkNumberOffset = 5;
const chunkNumberBytes = 6;

/** A block of a stream, and whether nothing comes after it. */
interface Block {
  readonly bytes: Buffer;
  readonly last: boolean;
}

/**
 * Seals a stream in chunks of 64 KiB (the STREAM construction as age uses it), in constant memory. What comes out goes
 * behind the stream's header; how it is cut into buffers means nothing.
 *
 * @param fileKey - 32 random bytes of this stream alone, sealed in the header as kind `file-key`.
 * @param source - Buffers of any size; each may be reused once the next one is asked for.
 * @throws KeysteadError `INVALID_ARGUMENT` when the file key has another length. Errors of the source pass through.
 */
export async function* sealChunks(fileKey: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const key = chunkKey(fileKey);
  const nonce = Buffer.alloc(nonceBytes);
  let chunk = 0;
  for await (const { bytes, last } of readBlocks(source, streamChunkBytes)) {
    setNonce(nonce, chunk++, last);
    const encryption = aes256GcmCipher.encrypt(key, nonce, noAad);
    const sealed = encryption.update(bytes);
    encryption.final();
    yield sealed;
    yield encryption.getAuthTag();
  }
}

/**
 * Opens what {@link sealChunks} made, chunk by chunk: every buffer it yields is authenticated and in its place, but only the
 * end of the iteration says that none is missing. Act on the whole only then.
 *
 * @throws KeysteadError `DECRYPTION_FAILED` for altered, swapped, missing, repeated or added chunks and for another key;
 * `INVALID_ARGUMENT` when the file key has another length. Errors of the source pass through.
 */
export async function* openChunks(fileKey: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const key = chunkKey(fileKey);
  const nonce = Buffer.alloc(nonceBytes);
  let chunk = 0;
  for await (const { bytes, last } of readBlocks(source, sealedChunkBytes)) {
    // A last chunk is empty only when the whole is, so that every stream has one form.
    if (bytes.length < tagBytes || (bytes.length === tagBytes && chunk > 0)) throw doesNotOpen();
    setNonce(nonce, chunk++, last);
    const plaintext = openChunk(key, nonce, bytes);
    if (plaintext.length > 0) yield plaintext;
  }
}

function openChunk(key: KeyObject, nonce: Buffer, sealed: Buffer): Buffer {
  const end = sealed.length - tagBytes;
  const decryption = aes256GcmCipher.decrypt(key, nonce, noAad, sealed.subarray(end));
  const plaintext = decryption.update(sealed.subarray(0, end));
  try {
    decryption.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw doesNotOpen();
  }
}

function doesNotOpen(): KeysteadError {
  return new KeysteadError("DECRYPTION_FAILED", "stream does not open: check that it is complete and unchanged, and its key and context");
}

function chunkKey(fileKey: Uint8Array): KeyObject {
  if (fileKey.length !== fileKeyBytes) throw new KeysteadError("INVALID_ARGUMENT", "file key must be exactly 32 bytes");
  const bytes = hkdf(fileKey, info, fileKeyBytes);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Nonce of a chunk: its number (u88, big-endian; 48 bits of it reach for 2^64 bytes), then 01 for the last chunk. */
function setNonce(nonce: Buffer, chunk: number, last: boolean): void {
  nonce.writeUIntBE(chunk, chunkNumberOffset, chunkNumberBytes);
  nonce.writeUInt8(last ? 1 : 0, nonceBytes - 1);
}

/**
 * Cuts a source into blocks of one size. The last one may be shorter; it is empty only when the source is. A block is valid
 * until the next one is asked for.
 */
async function* readBlocks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Block, void, undefined> {
  const block = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  try {
    for await (const given of source) {
      const piece = assertPiece(given);
      let offset = 0;
      while (offset < piece.length) {
        // Only when more follows is a full block known not to be the last one.
        if (filled === size) {
          yield { bytes: block, last: false };
          filled = 0;
        }
        const taken = Math.min(size - filled, piece.length - offset);
        block.set(piece.subarray(offset, offset + taken), filled);
        filled += taken;
        offset += taken;
      }
    }
    yield { bytes: block.subarray(0, filled), last: true };
  } finally {
    block.fill(0);
  }
}
