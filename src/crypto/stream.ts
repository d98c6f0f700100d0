import { chunkOpener, chunkSealer, sealedChunkBytes, streamChunkBytes } from "./stream-chunk.ts";
import { assertPiece } from "./stream-header.ts";
import { viewBytes } from "./text.ts";

export { streamPrefix } from "./ciphertext.ts";
export { fileKeyBytes, streamChunkBytes } from "./stream-chunk.ts";
export { formatStreamHeader, type OpenedStream, type ParsedStream, parseStream, readStreamHeader } from "./stream-header.ts";

/** The most blocks that are sealed or opened, and yielded, at once: their bytes cost one write, not one each. */
const batchBlocks = 16;

/** Blocks of a stream in order, and whether nothing comes after them. */
interface Batch {
  readonly blocks: readonly Buffer[];
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
  for await (const { blocks, last } of readBatches(source, streamChunkBytes))
    yield joinParts(blocks.flatMap((bytes, at) => seal(bytes, last && at + 1 === blocks.length)));
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
  for await (const { blocks, last } of readBatches(source, sealedChunkBytes)) {
    const plaintext = joinParts(blocks.map((bytes, at) => open(bytes, last && at + 1 === blocks.length)));
    if (plaintext.length > 0) yield plaintext;
  }
}

/**
 * Cuts a source into blocks of one size. The last one may be shorter; it is empty only when the source is. Blocks are valid
 * until the next batch is asked for: only what a buffer of the source leaves over is copied.
 */
async function* readBatches(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Batch, void, undefined> {
  const held = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  let blocks: Buffer[] = [];
  try {
    for await (const given of source) {
      const piece = viewBytes(assertPiece(given));
      let offset = 0;
      // Only when more follows is a full block known not to be the last one.
      while (filled + piece.length - offset > size) {
        const taken = size - filled;
        const part = piece.subarray(offset, offset + taken);
        if (filled > 0) held.set(part, filled);
        blocks.push(filled > 0 ? held : part);
        filled = 0;
        offset += taken;
        if (blocks.length === batchBlocks) {
          yield { blocks, last: false };
          blocks = [];
        }
      }
      if (blocks.length > 0) yield { blocks, last: false };
      blocks = [];
      held.set(piece.subarray(offset), filled);
      filled += piece.length - offset;
    }
    yield { blocks: [held.subarray(0, filled)], last: true };
  } finally {
    held.fill(0);
  }
}

/** One buffer of all parts, whose memory is given back at once: left to the collector, they would double what a stream takes. */
function joinParts(parts: readonly Buffer[]): Buffer {
  const joined = Buffer.allocUnsafeSlow(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    joined.set(part, end);
    end += part.length;
    part.fill(0);
    const { buffer } = part;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === part.length) buffer.transfer(0);
  }
  return joined;
}
