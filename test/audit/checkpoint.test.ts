import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkpointHash, encodeCheckpoint, parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { chainHash, extendChain, startChain } from "../../src/audit/hash-chain.ts";

const writerA = "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081";
const writerB = "1b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081";
const body = {
  previous: "cd".repeat(32),
  generation: 12,
  positions: [
    { writer: writerA, count: 7, head: Buffer.alloc(32, 1) },
    { writer: writerB, count: 1000, head: Buffer.alloc(32, 2) },
  ],
};

function sha256(...parts: (string | Buffer)[]): Buffer {
  return createHash("sha256")
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest();
}

/** E(…) as the format describes it, written anew. */
function fields(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

describe("the hash chain", () => {
  it("is what the format says", () => {
    const start = startChain(writerA);
    expect(start).toEqual({ writer: writerA, count: 0, head: sha256(writerA) });
    const first = extendChain(start, Buffer.from('{"a":1}'));
    expect(first).toEqual({ writer: writerA, count: 1, head: sha256("keystead audit v1", sha256(writerA), '{"a":1}') });
    expect(extendChain(first, Buffer.from("x")).head).toEqual(chainHash(first.head, Buffer.from("x")));
  });
});

describe("a checkpoint", () => {
  it("has the bytes that the format says, with writers sorted", () => {
    const expected = fields(
      "keystead checkpoint v1",
      Buffer.alloc(32, 0xcd),
      "12",
      writerA,
      "7",
      Buffer.alloc(32, 1),
      writerB,
      "1000",
      Buffer.alloc(32, 2),
    );
    expect(encodeCheckpoint(body)).toEqual(expected);
    expect(encodeCheckpoint({ ...body, positions: body.positions.toReversed() })).toEqual(expected);
    expect(encodeCheckpoint({ ...body, previous: "" })).toEqual(
      Buffer.concat([fields("keystead checkpoint v1", "", "12"), expected.subarray(26 + 36 + 6)]),
    );
    expect(checkpointHash(expected)).toBe(sha256(expected).toString("hex"));
  });

  it("reads as it was written", () => {
    expect(parseCheckpoint(encodeCheckpoint(body))).toEqual(body);
    expect(parseCheckpoint(encodeCheckpoint({ previous: "", generation: 0, positions: [] }))).toEqual({
      previous: "",
      generation: 0,
      positions: [],
    });
  });

  it.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["another tag", fields("keystead checkpoint v2", "", "1")],
    ["a short hash", fields("keystead checkpoint v1", Buffer.alloc(31), "1")],
    ["no generation", fields("keystead checkpoint v1", "")],
    ["a generation with a leading zero", fields("keystead checkpoint v1", "", "01")],
    ["a negative generation", fields("keystead checkpoint v1", "", "-1")],
    ["a generation beyond integers", fields("keystead checkpoint v1", "", "9007199254740993")],
    ["an incomplete writer", fields("keystead checkpoint v1", "", "1", writerA, "1")],
    ["a short head", fields("keystead checkpoint v1", "", "1", writerA, "1", Buffer.alloc(31))],
    ["a writer twice", fields("keystead checkpoint v1", "", "1", writerA, "1", Buffer.alloc(32), writerA, "1", Buffer.alloc(32))],
    ["writers out of order", fields("keystead checkpoint v1", "", "1", writerB, "1", Buffer.alloc(32), writerA, "1", Buffer.alloc(32))],
    ["a malformed writer", fields("keystead checkpoint v1", "", "1", "x".repeat(36), "1", Buffer.alloc(32))],
    ["a byte too many", Buffer.concat([encodeCheckpoint(body), Buffer.alloc(1)])],
    ["a field too long", Buffer.from("ffffffff00", "hex")],
  ])("is not %s", (_, bytes) => {
    expect(parseCheckpoint(bytes)).toBeUndefined();
  });

  it("is parsed by a total function", () => {
    const encoded = encodeCheckpoint(body);
    fc.assert(fc.property(fc.uint8Array(), (bytes) => parseCheckpoint(bytes) === undefined));
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), (length) => {
        const cut = parseCheckpoint(encoded.subarray(0, length));
        // Between two writers a cut is well-formed; the signature is what finds it.
        return cut === undefined || cut.positions.length < body.positions.length;
      }),
    );
  });
});
