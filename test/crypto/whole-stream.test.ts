import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseBinaryHeader, streamPrefix } from "../../src/crypto/ciphertext.ts";
import { maxStreamHeadBytes } from "../../src/crypto/stream-header.ts";
import { formatStreamHeader, openChunks, parseStream, readStreamHeader, sealChunks } from "../../src/crypto/stream.ts";
import { openWholeStream, sealWholeStream, wholeStreamHolds } from "../../src/crypto/whole-stream.ts";
import { isKeysteadError } from "../../src/errors.ts";
import { expectError } from "./support/expect-error.ts";
import { SeededRandom } from "./support/random.ts";
import { collect, pieces } from "./support/streams.ts";

const fileKey = new SeededRandom("file key").bytes(32);
const sealedFileKey = new SeededRandom("sealed file key").bytes(60);
const head = formatStreamHeader(streamPrefix("acme/files", "2-abc234"), sealedFileKey);
const plaintext = new SeededRandom("plaintext").bytes(200_000);
const sizes = [0, 1, 16, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000];

function sealedChunks(size: number): Buffer {
  return sealWholeStream(new Uint8Array(), fileKey, plaintext.subarray(0, size));
}

describe("streams in memory", () => {
  it.each(sizes)("of %i bytes are what the stream functions make and open", async (size) => {
    const bytes = plaintext.subarray(0, size);
    const whole = sealWholeStream(head, fileKey, bytes);
    expect(whole.equals(Buffer.concat([head, await collect(sealChunks(fileKey, pieces(bytes)))]))).toBe(true);
    const parsed = parseStream(whole);
    if (parsed === undefined) throw new Error("not parsed");
    const { sealedFileKey: found, chunks, ...header } = parsed;
    expect(header).toEqual({ key: "acme/files", version: 2, fingerprint: "abc234", label: "2-abc234" });
    expect(found).toEqual(sealedFileKey);
    expect(openWholeStream(fileKey, chunks).equals(bytes)).toBe(true);
    expect(openWholeStream(fileKey, chunks, Uint8Array.of(1, 2)).equals(Buffer.concat([Buffer.from([1, 2]), bytes]))).toBe(true);
    expect((await collect(openChunks(fileKey, pieces(chunks, 7_777)))).equals(bytes)).toBe(true);
    expect(wholeStreamHolds(fileKey, chunks, bytes)).toBe(true);
  });

  it("hold exactly one plaintext", () => {
    const chunks = sealedChunks(65_540);
    expect(wholeStreamHolds(fileKey, chunks, plaintext.subarray(0, 65_539))).toBe(false);
    expect(wholeStreamHolds(fileKey, chunks, plaintext.subarray(0, 65_541))).toBe(false);
    expect(wholeStreamHolds(fileKey, chunks, plaintext.subarray(1, 65_541))).toBe(false);
  });

  it("don't open when they are cut anywhere, longer, altered, or in another order", () => {
    const chunks = sealedChunks(131_100);
    const sealedChunk = 65_552;
    const first = chunks.subarray(0, sealedChunk);
    const second = chunks.subarray(sealedChunk, 2 * sealedChunk);
    const rest = chunks.subarray(2 * sealedChunk);
    const bad = [
      ...[0, 1, 15, 16, 17, sealedChunk - 1, sealedChunk, sealedChunk + 1, sealedChunk + 16, chunks.length - 1].map((end) =>
        chunks.subarray(0, end),
      ),
      Buffer.concat([chunks, Buffer.alloc(1)]),
      Buffer.concat([chunks, rest]),
      Buffer.concat([second, first, rest]),
      Buffer.concat([first, first, rest]),
      Buffer.concat([first, rest]),
      Buffer.concat([first, second, sealedChunks(0)]),
      ...[0, sealedChunk, chunks.length - 1].map((place) => Buffer.from(chunks).fill(~(chunks[place] ?? 0), place, place + 1)),
    ];
    for (const stream of bad) {
      expectError("DECRYPTION_FAILED", () => openWholeStream(fileKey, stream));
      expectError("DECRYPTION_FAILED", () => wholeStreamHolds(fileKey, stream, plaintext.subarray(0, 131_100)));
    }
    expectError("DECRYPTION_FAILED", () => openWholeStream(new SeededRandom("other").bytes(32), chunks));
    expectError("INVALID_ARGUMENT", () => openWholeStream(fileKey.subarray(1), chunks));
  });
});

/** Near the head of a stream, with good and bad parts. */
const nearHead = fc
  .record({
    magic: fc.oneof({ weight: 9, arbitrary: fc.constant("ks1s:") }, fc.constantFrom("ks1b:", "KS1s:", "ks1:", "")),
    key: fc.constantFrom("pii", "pii", "a/b", "k".repeat(255), "k".repeat(256), "", "a//b", "a:b"),
    label: fc.constantFrom("1-k7f2qd", "1-k7f2qd", "2147483647-zzzzzz", "2147483648-zzzzzz", "01-k7f2qd", ""),
    length: fc.constantFrom(27, 28, 28, 60, 60, 72, 1024, 1025),
    more: fc.integer({ min: -3, max: 40 }),
    cut: fc.option(fc.nat(400), { freq: 3 }),
  })
  .map(({ magic, key, label, length, more, cut }) => {
    const size = Math.max(0, length + more);
    const bytes = Buffer.concat([
      Buffer.from(`${magic}${key}:${label}:`),
      Buffer.from([length >> 8, length & 0xff]),
      Buffer.alloc(size, 0x41),
    ]);
    return cut === null ? bytes : bytes.subarray(0, cut);
  });

describe("parsing a stream", () => {
  it("takes what begins with a whole head, as reading one does, and never throws", async () => {
    let streams = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(nearHead, fc.uint8Array({ maxLength: 400 })), async (bytes) => {
        const parsed = parseStream(bytes);
        const read = await readStreamHeader(pieces(bytes, 101)).catch((error: unknown) => {
          if (isKeysteadError(error, "MALFORMED_CIPHERTEXT")) return undefined;
          throw error;
        });
        expect(parsed === undefined).toBe(read === undefined);
        if (parsed === undefined || read === undefined) return;
        streams += 1;
        const { sealedFileKey: found, chunks, ...header } = parsed;
        expect(read.header).toEqual(header);
        expect(read.sealedFileKey).toEqual(found);
        expect(await collect(read.rest)).toEqual(chunks);
        const end = (parseBinaryHeader(bytes, "ks1s:")?.end ?? 0) + 2 + found.length;
        expect(end + chunks.length).toBe(bytes.length);
        expect(found.length).toBeGreaterThanOrEqual(28);
        expect(found.length).toBeLessThanOrEqual(1024);
        expect(parseStream(Buffer.from(bytes).subarray(0, maxStreamHeadBytes))).toMatchObject(header);
      }),
      { numRuns: 2000 },
    );
    expect(streams).toBeGreaterThan(50);
  });

  it("needs no more than the longest head", () => {
    const longest = Buffer.concat([
      formatStreamHeader(streamPrefix("k".repeat(255), "2147483647-zzzzzz"), Buffer.alloc(1024)),
      Buffer.alloc(100),
    ]);
    expect(parseStream(longest.subarray(0, maxStreamHeadBytes))?.chunks).toHaveLength(0);
    expect(parseStream(longest.subarray(0, maxStreamHeadBytes - 1))).toBeUndefined();
  });

  it("copies nothing", () => {
    const whole = sealWholeStream(head, fileKey, plaintext);
    const parsed = parseStream(whole);
    expect(parsed?.chunks.buffer).toBe(whole.buffer);
    expect(parsed?.sealedFileKey.buffer).toBe(whole.buffer);
  });
});
