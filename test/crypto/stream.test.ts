import { createCipheriv } from "node:crypto";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { gcm } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openChunks, sealChunks } from "../../src/crypto/stream.ts";
import { expectRejection } from "./support/expect-error.ts";
import { flipBit } from "./support/flip-bit.ts";
import { SeededRandom } from "./support/random.ts";
import { collect, pieces } from "./support/streams.ts";

const chunk = 65_536;
const record = chunk + 16;
const fileKey = Buffer.alloc(32, 0x42);
const random = new SeededRandom("stream");

const seal = (plaintext: Uint8Array, size?: number): Promise<Buffer> => collect(sealChunks(fileKey, pieces(plaintext, size)));
const open = (sealed: Uint8Array, size?: number): Promise<Buffer> => collect(openChunks(fileKey, pieces(sealed, size)));

/** The format, written down plainly, by @noble. */
function expectedStream(plaintext: Buffer): Buffer {
  const key = nobleHkdf(sha256, fileKey, undefined, Buffer.from("keystead stream v1"), 32);
  const count = Math.max(1, Math.ceil(plaintext.length / chunk));
  return Buffer.concat(
    Array.from({ length: count }, (_, index) => {
      const nonce = Buffer.alloc(12);
      nonce.writeUInt32BE(index, 7);
      nonce.writeUInt8(index === count - 1 ? 1 : 0, 11);
      return gcm(key, nonce).encrypt(plaintext.subarray(index * chunk, (index + 1) * chunk));
    }),
  );
}

/** A chunk sealed by hand, to make streams that sealChunks does not make. */
function sealedChunk(plaintext: Uint8Array, index: number, last: boolean): Buffer {
  const key = Buffer.from(nobleHkdf(sha256, fileKey, undefined, Buffer.from("keystead stream v1"), 32));
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce.writeUInt8(last ? 1 : 0, 11);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The buffers of a stream, none longer than that. */
async function buffersWithin(stream: AsyncIterable<Buffer>, longest: number): Promise<Buffer[]> {
  const buffers: Buffer[] = [];
  for await (const buffer of stream) buffers.push(buffer);
  expect(Math.max(...buffers.map(({ length }) => length))).toBeLessThanOrEqual(longest);
  return buffers;
}

describe("sealChunks and openChunks", () => {
  const sizes = [0, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 3 * chunk + 12_345];

  it.each(sizes)("write %d bytes as the format says, and open them", async (size) => {
    const plaintext = random.bytes(size);
    const sealed = await seal(plaintext);
    expect(sealed.equals(expectedStream(plaintext))).toBe(true);
    expect((await open(sealed)).equals(plaintext)).toBe(true);
  });

  it("do not care how the source is cut, even when it uses its memory again", async () => {
    const plaintext = random.bytes(2 * chunk + 777);
    const expected = expectedStream(plaintext);
    const cuts = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, async (lengths) => {
        const cut = async function* (bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
          const shared = Buffer.alloc(100_000);
          for (let offset = 0, index = 0; offset < bytes.length; index++) {
            // Eight bytes at least now and then, so that the source ends.
            const length = Math.min(lengths[index % lengths.length] ?? 0, bytes.length - offset) || (index % 3 === 0 ? 8_192 : 0);
            const size = bytes.copy(shared, 0, offset, Math.min(offset + length, bytes.length));
            yield shared.subarray(0, size);
            shared.fill(0xee);
            offset += size;
          }
        };
        const sealed = await collect(sealChunks(fileKey, cut(plaintext)));
        expect(sealed.equals(expected)).toBe(true);
        expect((await collect(openChunks(fileKey, cut(expected)))).equals(plaintext)).toBe(true);
      }),
      { numRuns: 30 },
    );
    expect((await open(await seal(plaintext, 1_000), 999)).equals(plaintext)).toBe(true);
  });

  it.each([16 * chunk - 1, 16 * chunk, 16 * chunk + 1, 17 * chunk, 33 * chunk + 5])(
    "take %d bytes at once, a bounded part at a time",
    async (size) => {
      const plaintext = random.bytes(size);
      const sealed = Buffer.concat(await buffersWithin(sealChunks(fileKey, pieces(plaintext, size)), 16 * record));
      expect(sealed.equals(await seal(plaintext, 1_000))).toBe(true);
      const opened = Buffer.concat(await buffersWithin(openChunks(fileKey, pieces(sealed, sealed.length)), 16 * chunk));
      expect(opened.equals(plaintext)).toBe(true);
    },
  );

  it("number chunks beyond 256", async () => {
    const plaintext = random.bytes(300 * chunk);
    const sealed = await seal(plaintext, 1 << 20);
    expect(sealed.subarray(299 * record).equals(sealedChunk(plaintext.subarray(299 * chunk), 299, true))).toBe(true);
    expect((await open(sealed, 1 << 20)).equals(plaintext)).toBe(true);
  });

  it("give nothing out before it is authenticated", async () => {
    const sealed = await seal(random.bytes(3 * chunk));
    const opened: number[] = [];
    const changed = flipBit(sealed, (record + 5) * 8);
    await expectRejection(
      "DECRYPTION_FAILED",
      (async () => {
        for await (const bytes of openChunks(fileKey, pieces(changed, 50_000))) opened.push(bytes.length);
      })(),
    );
    expect(opened).toEqual([chunk]);
  });

  it("refuse a file key of another length", async () => {
    for (const key of [Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(0)]) {
      await expectRejection("INVALID_ARGUMENT", collect(sealChunks(key, pieces(Buffer.alloc(1)))));
      await expectRejection("INVALID_ARGUMENT", collect(openChunks(key, pieces(Buffer.alloc(17)))));
    }
  });
});

describe("openChunks refuses", () => {
  const plaintext = random.bytes(3 * chunk + 100);
  const sealed = expectedStream(plaintext);
  const parts = [0, 1, 2, 3].map((index) => sealed.subarray(index * record, (index + 1) * record)) as [Buffer, Buffer, Buffer, Buffer];
  const [first, second, third, last] = parts;
  const full = expectedStream(plaintext.subarray(0, 2 * chunk));

  it.each<[string, Uint8Array]>([
    ["nothing at all", Buffer.alloc(0)],
    ["less than a tag", sealed.subarray(0, 15)],
    ["one byte cut off", sealed.subarray(0, -1)],
    ["the last chunk cut off", sealed.subarray(0, 3 * record)],
    ["all but the first chunk cut off", first],
    ["half a chunk cut off", sealed.subarray(0, 2 * record + 1_000)],
    ["the first chunk cut off", sealed.subarray(record)],
    ["a middle chunk left out", Buffer.concat([first, third, last])],
    ["chunks swapped", Buffer.concat([first, third, second, last])],
    ["first and second swapped", Buffer.concat([second, first, third, last])],
    ["a chunk repeated", Buffer.concat([first, second, second, third, last])],
    ["the last chunk repeated", Buffer.concat([sealed, last])],
    ["a full chunk where the last was", Buffer.concat([first, second, third, first])],
    ["a byte added", Buffer.concat([sealed, Buffer.alloc(1)])],
    ["a tag added", Buffer.concat([sealed, Buffer.alloc(16)])],
    ["a stream added", Buffer.concat([sealed, sealed])],
    ["a byte added to full chunks", Buffer.concat([full, Buffer.alloc(1)])],
    ["an empty last chunk after full ones", Buffer.concat([first, second, sealedChunk(Buffer.alloc(0), 2, true)])],
    ["an empty chunk that is not the last", sealedChunk(Buffer.alloc(0), 0, false)],
    ["a last chunk not marked so", Buffer.concat([first, sealedChunk(Buffer.from("end"), 1, false)])],
    ["a chunk marked as last before others", Buffer.concat([sealedChunk(plaintext.subarray(0, chunk), 0, true), second, third, last])],
    ["a short chunk in between", Buffer.concat([sealedChunk(Buffer.alloc(100), 0, false), sealedChunk(Buffer.alloc(5), 1, true)])],
    ["a first bit flipped", flipBit(sealed, 0)],
    ["a last bit flipped", flipBit(sealed, sealed.length * 8 - 1)],
  ])("%s", async (_, bytes) => {
    await expectRejection("DECRYPTION_FAILED", open(bytes, 40_000));
  });

  it("any one flipped bit", async () => {
    const short = expectedStream(Buffer.from("short"));
    for (let bit = 0; bit < short.length * 8; bit++) await expectRejection("DECRYPTION_FAILED", open(flipBit(short, bit)));
    const positions = fc.integer({ min: 0, max: sealed.length * 8 - 1 });
    await fc.assert(
      fc.asyncProperty(positions, async (bit) => {
        await expectRejection("DECRYPTION_FAILED", open(flipBit(sealed, bit)));
      }),
      { numRuns: 40 },
    );
  });

  it("another file key", async () => {
    await expectRejection("DECRYPTION_FAILED", collect(openChunks(Buffer.alloc(32, 1), pieces(sealed))));
  });

  it("with one message, whatever the reason", async () => {
    const errors = await Promise.all(
      [
        Buffer.alloc(0),
        sealed.subarray(1),
        sealed.subarray(0, -1),
        Buffer.concat([first, second, sealedChunk(Buffer.alloc(0), 2, true)]),
      ].map((bytes) => expectRejection("DECRYPTION_FAILED", open(bytes))),
    );
    expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
    for (const { cause } of errors) expect(cause).toBeUndefined();
  });
});

describe("sources", () => {
  it("are closed when the reader stops, and their errors pass through", async () => {
    let closed = 0;
    const endless = async function* (): AsyncGenerator<Buffer, void, undefined> {
      try {
        for (;;) yield Buffer.alloc(chunk);
      } finally {
        closed++;
      }
    };
    for await (const bytes of sealChunks(fileKey, endless())) if (bytes.length > 16) break;
    for await (const bytes of openChunks(fileKey, sealChunks(fileKey, endless()))) if (bytes.length > 0) break;
    expect(closed).toBe(2);
    const broken = async function* (): AsyncGenerator<Buffer, void, undefined> {
      yield Buffer.alloc(10);
      throw new RangeError("disk on fire");
    };
    await expect(collect(sealChunks(fileKey, broken()))).rejects.toThrow("disk on fire");
    await expect(collect(openChunks(fileKey, broken()))).rejects.toThrow("disk on fire");
  });
});
