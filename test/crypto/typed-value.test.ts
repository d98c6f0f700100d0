import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeTypedValue, encodeTypedValue, type FieldValue } from "../../src/crypto/typed-value.ts";
import { expectError } from "./support/expect-error.ts";

const texts = fc.string({ unit: "binary", maxLength: 50 });
const { json } = fc.letrec<{ json: FieldValue; node: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small" },
    texts,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(texts, tie("node"), { maxKeys: 4, noNullPrototype: true }),
  ),
  json: fc.oneof(
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(texts, tie("node"), { maxKeys: 4, noNullPrototype: true }),
  ) as fc.Arbitrary<FieldValue>,
}));

const values: fc.Arbitrary<FieldValue> = fc.oneof(
  texts,
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
  json,
);

function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

describe("encodeTypedValue and decodeTypedValue", () => {
  it("round trip every value with its type", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decodeTypedValue(encodeTypedValue(value))).toStrictEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[FieldValue, string]>([
    ["", "01"],
    ["aé", "0161c3a9"],
    [1, "023ff0000000000000"],
    [-0, "028000000000000000"],
    [Infinity, "027ff0000000000000"],
    [NaN, "027ff8000000000000"],
    [0n, "0330"],
    [-120n, "032d313230"],
    [false, "0400"],
    [true, "0401"],
    [new Date(0), "050000000000000000"],
    [new Date(-1), "05ffffffffffffffff"],
    [new Date(8.64e15), "05001eb208c2dc0000"],
    [Uint8Array.of(), "06"],
    [Uint8Array.of(1, 255), "0601ff"],
    [[], "075b5d"],
    [{ a: [1, null] }, "077b2261223a5b312c6e756c6c5d7d"],
    [{ "": -0 }, "077b22223a2d307d"],
  ])("write %o as %s", (value, hex) => {
    expect(encodeTypedValue(value).toString("hex")).toBe(hex);
    expect(decodeTypedValue(bytes(hex))).toStrictEqual(value);
  });

  it("take a Buffer as bytes, and give memory of their own", () => {
    const encoded = encodeTypedValue(Buffer.from([1, 2]));
    const decoded = decodeTypedValue(encoded);
    encoded.fill(0);
    expect(decoded).toStrictEqual(Uint8Array.of(1, 2));
  });

  it("keep a property called __proto__", () => {
    const value = JSON.parse('{"__proto__":{"polluted":true}}') as FieldValue;
    const decoded = decodeTypedValue(encodeTypedValue(value));
    expect(JSON.stringify(decoded)).toBe('{"__proto__":{"polluted":true}}');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;
  const nested = (depth: number): unknown => (depth === 0 ? [] : [nested(depth - 1)]);
  class Person {
    name = "x";
  }
  it.each<[string, unknown]>([
    ["null", null],
    ["undefined", undefined],
    ["a function", () => 1],
    ["a symbol", Symbol("x")],
    ["an invalid Date", new Date(NaN)],
    ["a Map", new Map()],
    ["a Set", new Set([1])],
    ["a RegExp", /x/],
    ["an instance", new Person()],
    ["a boxed string", new String("x")],
    ["a Promise", Promise.resolve()],
    ["another typed array", new Uint16Array(2)],
    ["an ArrayBuffer", new ArrayBuffer(2)],
    ["an error", new Error("x")],
    ["a lone surrogate", "\uD800"],
    ["a lone surrogate inside", { a: "\uD800" }],
    ["a lone surrogate in a name", { "\uD800": 1 }],
    ["undefined inside", { a: undefined }],
    ["undefined in an array", [undefined]],
    ["a function inside", [() => 1]],
    ["NaN inside", [NaN]],
    ["an infinity inside", { a: [-Infinity] }],
    ["a bigint inside", [1n]],
    ["a Date inside", [new Date(0)]],
    ["bytes inside", [Uint8Array.of(1)]],
    ["a Map inside", [new Map()]],
    ["a symbol property", { [Symbol("x")]: 1 }],
    ["a sparse array", new Array<number>(2)],
    ["a cycle", cyclic],
    ["an array that is nested too deep", nested(101)],
    ["a bigint of 4,097 digits", 10n ** 4_096n],
  ])("refuse %s", (_, value) => {
    expectError("INVALID_ARGUMENT", () => encodeTypedValue(value as FieldValue));
  });

  it("take what is just within bounds", () => {
    expect(decodeTypedValue(encodeTypedValue(nested(99) as FieldValue))).toStrictEqual(nested(99));
    expect(decodeTypedValue(encodeTypedValue(10n ** 4_095n))).toBe(10n ** 4_095n);
  });

  it.each([
    ["nothing", ""],
    ["an unknown type", "00"],
    ["another unknown type", "08"],
    ["invalid UTF-8", "01ff"],
    ["an encoded surrogate", "01eda080"],
    ["a short number", "0200000000000000"],
    ["a long number", "02000000000000000000"],
    ["an empty bigint", "03"],
    ["a bigint with a sign", "032b31"],
    ["minus zero", "032d30"],
    ["leading zeros", "033031"],
    ["a bigint with a space", "032031"],
    ["a hexadecimal bigint", "033078"],
    ["a bigint of 4,097 digits", `03${"31".repeat(4_097)}`],
    ["an empty boolean", "04"],
    ["a boolean of two bytes", "040000"],
    ["a boolean 2", "0402"],
    ["a short date", "0500000000000000"],
    ["a date out of range", "05001eb208c2dc0001"],
    ["the smallest date there is not", "058000000000000000"],
    ["empty JSON", "07"],
    ["broken JSON", Buffer.from("\x07{").toString("hex")],
    ["a JSON scalar", Buffer.from("\x07null").toString("hex")],
    ["a JSON number", Buffer.from("\x071").toString("hex")],
    ["JSON with an infinity", Buffer.from("\x07[1e999]").toString("hex")],
    ["JSON with a lone surrogate", Buffer.from('\x07["\\ud800"]').toString("hex")],
    ["JSON with a lone surrogate in a name", Buffer.from('\x07{"\\udc00":1}').toString("hex")],
    ["JSON with invalid UTF-8", "075b22ff225d"],
    ["JSON that is nested too deep", Buffer.from(`\x07${"[".repeat(102)}${"]".repeat(102)}`).toString("hex")],
    ["JSON that is nested far too deep", Buffer.from(`\x07${"[".repeat(100_000)}${"]".repeat(100_000)}`).toString("hex")],
  ])("find %s", (_, hex) => {
    expect(decodeTypedValue(bytes(hex))).toBeUndefined();
  });

  it("decode only what encodes to the same value, and never throw", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 24 }), (code, rest) => {
        const value = decodeTypedValue(Uint8Array.of(code, ...rest));
        if (value !== undefined) expect(decodeTypedValue(encodeTypedValue(value))).toStrictEqual(value);
      }),
      { numRuns: 3_000 },
    );
  });

  it("never show a value in an error", () => {
    const error = expectError("INVALID_ARGUMENT", () => encodeTypedValue({ secret: "canary-91c2\uD800" }));
    expect(error.message).not.toContain("canary");
    expect(error.cause).toBeUndefined();
  });
});
