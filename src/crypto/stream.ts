import { chunkOpener, chunkSealer, sealedChunkBytes, streamChunkBytes } from "./stream-chunk.ts";

export { streamPrefix } from "./ciphertext.ts";
export { fileKeyBytes, streamChunkBytes } from "./stream-chunk.ts";
export { formatStreamHeader, type OpenedStream, type ParsedStream, parseStream, readStreamHeader } from "./stream-header.ts";

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
  const seal = chunkSealer(fileKey);
  for await (const { bytes, last } of readBlocks(source, streamChunkBytes)) yield* seal(bytes, last);
}

/**
 * Opens what {@link sealChunks} made, chunk by chunk: every buffer it yields is authenticated and in its place, but only the
 * end of the iteration says that none is missing. Act on the whole only then.
 *
 * @throws KeysteadError `DECRYPTION_FAILED` for altered, swapped, missing, repeated or added chunks and for another key;
 * `INVALID_ARGUMENT` when the file key has another length. Errors of the source pass through.
 */
export async function* openChunks(fileKey: Uint8Array, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const open = chunkOpener(fileKey);
  for await (const { bytes, last } of readBlocks(source, sealedChunkBytes)) {
    const plaintext = open(bytes, last);
    if (plaintext.length > 0) yield plaintext;
  }
}

/**
 * Cuts a source into blocks of one size. The last one may be shorter; it is empty only when the source is. A block is valid
 * until the next one is asked for.
 */
async function* readBlocks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Block, void, undefined> {
  const block = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  try {
    for await (const piece of source) {
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
