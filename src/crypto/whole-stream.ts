import { tagBytes } from "./aead-cipher.ts";
import { chunkOpener, chunkSealer, sealedChunkBytes, streamChunkBytes, streamDoesNotOpen } from "./stream-chunk.ts";
import { viewBytes } from "./text.ts";

/**
 * Seals a stream whose plaintext is in memory as a whole. The same bytes as `sealChunks` makes, behind the head.
 *
 * @param head - From `formatStreamHeader`, with the sealed file key.
 * @throws KeysteadError `INVALID_ARGUMENT` when the file key has another length than 32 bytes.
 */
export function sealWholeStream(head: Uint8Array, fileKey: Uint8Array, plaintext: Uint8Array): Buffer {
  const seal = chunkSealer(fileKey);
  const stream = Buffer.allocUnsafeSlow(head.length + plaintext.length + chunkCount(plaintext.length, streamChunkBytes) * tagBytes);
  stream.set(head);
  let end = head.length;
  for (const { bytes, last } of blocksOf(plaintext, streamChunkBytes)) {
    for (const part of seal(bytes, last)) {
      stream.set(part, end);
      end += part.length;
    }
  }
  return stream;
}

/**
 * Opens the chunks of a stream that is in memory as a whole.
 *
 * @param before - Stands before the plaintext in the result.
 * @throws KeysteadError `DECRYPTION_FAILED` for chunks that are altered, swapped, missing, repeated or added.
 */
export function openWholeStream(fileKey: Uint8Array, chunks: Uint8Array, before: Uint8Array = noBytes): Buffer {
  const plaintext = Buffer.alloc(before.length + plaintextBytes(chunks.length));
  plaintext.set(before);
  let end = before.length;
  try {
    for (const part of openBlocks(fileKey, chunks)) {
      plaintext.set(part, end);
      end += part.length;
    }
    return plaintext;
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}

/** True when the chunks open to exactly this plaintext; with one chunk more in memory at a time. @throws as {@link openWholeStream} */
export function wholeStreamHolds(fileKey: Uint8Array, chunks: Uint8Array, plaintext: Uint8Array): boolean {
  let end = 0;
  for (const part of openBlocks(fileKey, chunks)) {
    if (!part.equals(plaintext.subarray(end, end + part.length))) return false;
    end += part.length;
  }
  return end === plaintext.length;
}

/** How long the plaintext of so many bytes of chunks is. */
function plaintextBytes(length: number): number {
  const count = chunkCount(length, sealedChunkBytes);
  // Otherwise what is left for the last chunk is not even a tag.
  if (length - (count - 1) * sealedChunkBytes < tagBytes) throw streamDoesNotOpen();
  return length - count * tagBytes;
}

function* openBlocks(fileKey: Uint8Array, chunks: Uint8Array): Generator<Buffer, void, undefined> {
  const open = chunkOpener(fileKey);
  for (const { bytes, last } of blocksOf(chunks, sealedChunkBytes)) yield open(bytes, last);
}

/** Views of blocks of one size; the last may be shorter, and is empty only when the whole is. */
function* blocksOf(whole: Uint8Array, size: number): Generator<{ readonly bytes: Buffer; readonly last: boolean }, void, undefined> {
  const view = viewBytes(whole);
  const count = chunkCount(view.length, size);
  for (let block = 0; block < count; block++) yield { bytes: view.subarray(block * size, (block + 1) * size), last: block + 1 === count };
}

function chunkCount(length: number, size: number): number {
  return Math.max(1, Math.ceil(length / size));
}

const noBytes = new Uint8Array();
