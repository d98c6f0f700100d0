import assert from "node:assert/strict";
import { inspect } from "node:util";
import type { Codec } from "../../datasets/codec.ts";
import { type CodecSuite, type CodecVector, withCodec } from "./suite.ts";

/** `open()` gives what was sealed, only that, and shows no secret. */
export function testOpening(suite: CodecSuite): void {
  const { it, vectors, otherPlaces, createCodec } = suite;
  const [first] = vectors;

  it("opens what the foreign system wrote, again and again, and leaves the cell as it was", () =>
    withCodec(suite, (codec) => {
      for (const { cell, place, plaintext } of [...vectors, ...vectors]) {
        const before = Buffer.from(cell.bytes);
        const opened = codec.open(cell, place);
        assert.equal(opened.type, plaintext.type);
        assert.deepEqual(Buffer.from(opened.bytes), Buffer.from(plaintext.bytes));
        assert.deepEqual(Buffer.from(cell.bytes), before);
      }
    }));

  it("does not open a value of which one bit was changed, wherever it is", () =>
    withCodec(suite, (codec) => {
      for (const vector of vectors)
        for (const bytes of flipped(vector)) assertClosed(codec, { ...vector, cell: { ...vector.cell, bytes } });
    }));

  it("does not open a value that was cut", () =>
    withCodec(suite, (codec) => {
      for (const vector of vectors) {
        const { bytes, type } = vector.cell;
        for (let length = 0; length < bytes.length; length += 1) {
          assertClosed(codec, { ...vector, cell: { type, bytes: bytes.subarray(0, length) } });
          assertClosed(codec, { ...vector, cell: { type, bytes: bytes.subarray(bytes.length - length) } });
        }
      }
    }));

  it("does not open a value at another place", () =>
    withCodec(suite, (codec) => {
      for (const place of otherPlaces) assert.throws(() => codec.open(first.cell, place), { code: "DECRYPTION_FAILED" });
    }));

  it("says of nothing why it does not open", () =>
    withCodec(suite, (codec) => {
      const altered = [...flipped(first)].map((bytes) => ({ ...first, cell: { ...first.cell, bytes } }));
      const tried = [...altered, ...otherPlaces.map((place) => ({ ...first, place }))].filter(({ cell }) => codec.recognise(cell));
      const said = new Set(tried.map((vector) => inspect(failureOf(codec, vector), { depth: 10 }).replaceAll(/\n +at .*/g, "")));
      assert.equal(said.size, 1, [...said].join("\n"));
    }));

  it("shows neither keys nor plaintext, however it is looked at", () =>
    withCodec(suite, (codec) => {
      const opened = codec.open(first.cell, first.place);
      const errors = [...flipped(first)].map((bytes) => failureOf(codec, { ...first, cell: { ...first.cell, bytes } }));
      const seen = [codec, ...errors].flatMap((value) => [
        inspect(value, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }),
        JSON.stringify(value),
        String(value),
      ]);
      // A plaintext of a few bytes may be anywhere by chance.
      const secrets = opened.bytes.length < 8 ? suite.secrets : [...suite.secrets, opened.bytes];
      for (const form of secrets.flatMap(formsOf)) assert.ok(!seen.some((text) => text.includes(form)), "a secret is shown");
    }));

  it("opens nothing once closed, and closes again without complaint", async () => {
    const codec = await createCodec();
    codec.open(first.cell, first.place);
    codec.close();
    assert.throws(() => codec.open(first.cell, first.place), { code: "CLOSED" });
    codec.close();
  });

  it("does not close another codec of the same options", async () => {
    const [one, other] = [await createCodec(), await createCodec()];
    one.close();
    other.open(first.cell, first.place);
    other.close();
  });
}

function assertClosed(codec: Codec, { cell, place }: CodecVector): void {
  const code = codec.recognise(cell) ? "DECRYPTION_FAILED" : "MALFORMED_CIPHERTEXT";
  assert.throws(() => codec.open(cell, place), { code });
}

function failureOf(codec: Codec, { cell, place }: CodecVector): unknown {
  try {
    return codec.open(cell, place);
  } catch (error) {
    return error;
  }
}

/** The value with each of its bits changed in turn. */
function* flipped({ cell }: CodecVector): Generator<Buffer> {
  for (let bit = 0; bit < cell.bytes.length * 8; bit += 1) {
    const bytes = Buffer.from(cell.bytes);
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    yield bytes;
  }
}

/** A secret as it may be printed. */
function formsOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  return [
    hex,
    (hex.match(/../g) ?? []).join(" "),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("latin1"),
    [...bytes].join(","),
    [...bytes].join(", "),
  ];
}
