import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Codec } from "../../datasets/codec.ts";
import type { Cell } from "../../datasets/source.ts";
import { sealedCell } from "../dataset-source/ciphertext.ts";
import { type CodecSuite, type CodecVector, withCodec } from "./suite.ts";

const noText: readonly Cell[] = [
  { type: "null" },
  { type: "integer", value: 0n },
  { type: "integer", value: -(2n ** 63n) },
  { type: "real", value: Number.NaN },
  { type: "text", bytes: new Uint8Array() },
  { type: "blob", bytes: new Uint8Array() },
];

/** `recognise()` is total and strict, and what it denies is not opened. */
export function testRecognising(suite: CodecSuite): void {
  const { it, vectors } = suite;

  it("recognises what the foreign system wrote", () =>
    withCodec(suite, (codec) => {
      for (const { cell } of vectors) assert.equal(codec.recognise(cell), true);
    }));

  it("denies NULL, numbers, nothing, and Keystead's own ciphertext", () =>
    withCodec(suite, (codec) => {
      const own = (["text", "binary", "stream"] as const).map((form) => sealedCell(form, "own"));
      for (const cell of [...noText, ...own]) assert.equal(codec.recognise(cell), false, cell.type);
    }));

  it("answers for any bytes, and opens none of those that it denies", () =>
    withCodec(suite, (codec) => {
      for (const cell of anyCells(vectors)) assertTotal(codec, cell, vectors[0]);
    }));

  it("denies a value with anything before or after it", () =>
    withCodec(suite, (codec) => {
      for (const { cell, place } of vectors) {
        for (const bytes of [" ", "\n", "=", "\0", "é"].flatMap((more) => [[more, cell.bytes] as const, [cell.bytes, more] as const])) {
          const longer = { type: cell.type, bytes: Buffer.concat(bytes.map((part) => Buffer.from(part))) };
          // In raw bytes a further byte may be part of the message: then it does not open.
          if (codec.recognise(longer)) assert.throws(() => codec.open(longer, place), { code: "DECRYPTION_FAILED" });
        }
      }
    }));
}

/** `recognise` gives a truth value, and `open` fails with `MALFORMED_CIPHERTEXT` exactly where that is false. */
function assertTotal(codec: Codec, cell: Cell, { place }: CodecVector): void {
  const recognised = codec.recognise(cell);
  assert.equal(typeof recognised, "boolean");
  assert.throws(() => codec.open(cell, place), { code: recognised ? "DECRYPTION_FAILED" : "MALFORMED_CIPHERTEXT" });
}

/** Bytes of all lengths, the same in each run, and texts that begin like the vectors. */
function* anyCells(vectors: readonly CodecVector[]): Generator<Cell> {
  yield* noText;
  for (let number = 0; number < 1000; number += 1) {
    const hash = createHash("sha512").update(String(number)).digest();
    const bytes = hash.subarray(0, number % 65);
    yield { type: "blob", bytes };
    for (const encoding of ["latin1", "hex", "base64", "base64url"] as const)
      yield { type: "text", bytes: Buffer.from(bytes.toString(encoding)) };
    for (const { cell } of vectors) {
      const kept = cell.bytes.subarray(0, number % cell.bytes.length);
      yield { type: cell.type, bytes: Buffer.concat([kept, number % 2 === 0 ? bytes : Buffer.from(bytes.toString("base64"))]) };
    }
  }
}
