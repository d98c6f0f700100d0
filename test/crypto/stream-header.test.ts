import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { streamPrefix } from "../../src/crypto/ciphertext.ts";
import { formatStreamHeader, openChunks, readStreamHeader, sealChunks } from "../../src/crypto/stream.ts";
import { expectError, expectRejection } from "./support/expect-error.ts";
import { SeededRandom } from "./support/random.ts";
import { collect, pieces } from "./support/streams.ts";

const prefix = streamPrefix("acme/files", "2-abc234");
const sealedFileKey = new SeededRandom("file key").bytes(72);
const head = formatStreamHeader(prefix, sealedFileKey);
const body = new SeededRandom("body").bytes(1_000);
const stream = Buffer.concat([head, body]);

describe("stream headers", () => {
  it("are header, length and sealed file key", () => {
    expect(head).toEqual(Buffer.concat([Buffer.from("ks1s:acme/files:2-abc234:"), Buffer.from([0, 72]), sealedFileKey]));
  });

  it("are read however the source is cut", async () => {
    for (const size of [1, 2, 3, 7, 24, 25, 26, 27, 99, 100, 500, 5_000]) {
      const { header, sealedFileKey: found, rest } = await readStreamHeader(pieces(stream, size));
      expect(header).toEqual({ key: "acme/files", version: 2, fingerprint: "abc234", label: "2-abc234" });
      expect(found).toEqual(sealedFileKey);
      expect(await collect(rest)).toEqual(body);
    }
  });

  it("lead to what was sealed", async () => {
    const fileKey = new SeededRandom("key").bytes(32);
    const plaintext = new SeededRandom("plaintext").bytes(100_000);
    const sealed = Buffer.concat([head, await collect(sealChunks(fileKey, pieces(plaintext)))]);
    const { rest } = await readStreamHeader(pieces(sealed, 10_000));
    expect((await collect(openChunks(fileKey, rest))).equals(plaintext)).toBe(true);
  });

  it("may be followed by nothing", async () => {
    const { rest } = await readStreamHeader(pieces(head));
    expect(await collect(rest)).toHaveLength(0);
  });

  it("are refused at every truncation", async () => {
    for (let length = 0; length < head.length; length++) {
      await expectRejection("MALFORMED_CIPHERTEXT", readStreamHeader(pieces(head.subarray(0, length), 11)));
    }
  });

  it.each<[string, Buffer]>([
    ["text", Buffer.from("just a file that somebody wrote")],
    ["the magic of another form", Buffer.concat([Buffer.from("ks1b:k:1-aaaaaa:"), Buffer.alloc(200)])],
    ["another label", Buffer.concat([Buffer.from("ks1s:k:01-aaaaaa:"), Buffer.alloc(200, 1)])],
    ["no colon", Buffer.concat([Buffer.from("ks1s:"), Buffer.alloc(10_000, 0x61)])],
    ["a short sealed file key", Buffer.concat([prefix, Buffer.from([0, 27]), Buffer.alloc(1_000)])],
    ["a long sealed file key", Buffer.concat([prefix, Buffer.from([4, 1]), Buffer.alloc(2_000)])],
  ])("are not found in %s, and the source is closed", async (_, bytes) => {
    let closed = false;
    const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield* pieces(bytes, 100);
        for (;;) yield Buffer.alloc(100);
      } finally {
        closed = true;
      }
    };
    await expectRejection("MALFORMED_CIPHERTEXT", readStreamHeader(source()));
    expect(closed).toBe(true);
  });

  it("of random bytes are refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        await expectRejection("MALFORMED_CIPHERTEXT", readStreamHeader(pieces(bytes, 37)));
        await expectRejection("MALFORMED_CIPHERTEXT", readStreamHeader(pieces(Buffer.concat([Buffer.from("ks1s:"), bytes]), 37)));
      }),
    );
  });

  it("are not written for another length", () => {
    expectError("INVALID_ARGUMENT", () => formatStreamHeader(prefix, Buffer.alloc(27)));
    expectError("INVALID_ARGUMENT", () => formatStreamHeader(prefix, Buffer.alloc(1_025)));
  });

  it("close the source when the rest is left", async () => {
    let closed = false;
    const source = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield stream;
        for (;;) yield body;
      } finally {
        closed = true;
      }
    };
    const { rest } = await readStreamHeader(source());
    for await (const bytes of rest) if (bytes.length === body.length) break;
    expect(closed).toBe(true);
  });
});
