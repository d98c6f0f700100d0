import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CiphertextKind, type Context, createAadEncoder } from "../../src/crypto/context.ts";
import { expectError } from "./support/expect-error.ts";

const keyId = "3e0c4b5a-6f5e-4a53-9d37-0c1f3f7f2b11";
const label = "3-k7f2qd";
const encode = createAadEncoder("value", keyId, label);

/** The format, written down plainly. */
function expectedAad(kind: string, id: string, versionLabel: string, context: Context): Buffer {
  const pairs = Object.entries(context).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  pairs.sort(([a], [b]) => a.compare(b));
  const fields = ["ks1", kind, id, versionLabel, String(pairs.length)].map((text) => Buffer.from(text));
  return Buffer.concat(
    [...fields, ...pairs.flat()].flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    }),
  );
}

const names = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });
const values = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc.string({ minLength: 500, maxLength: 600 }),
);
const contexts: fc.Arbitrary<Context> = fc.dictionary(names, values, { maxKeys: 8 });

describe("createAadEncoder", () => {
  it("writes the bytes of the format", () => {
    expect(encode({ table: "person", column: "email" }).toString("latin1")).toBe(
      "\0\0\0\x03ks1\0\0\0\x05value\0\0\0\x24" +
        keyId +
        "\0\0\0\x083-k7f2qd\0\0\0\x012" +
        "\0\0\0\x06column\0\0\0\x05email\0\0\0\x05table\0\0\0\x06person",
    );
    fc.assert(
      fc.property(contexts, (context) => {
        expect(encode(context)).toEqual(expectedAad("value", keyId, label, context));
      }),
    );
  });

  it("treats no context as an empty one", () => {
    expect(encode(undefined)).toEqual(expectedAad("value", keyId, label, {}));
    expect(encode({})).toEqual(encode(undefined));
    expect(encode(Object.create(null) as Context)).toEqual(encode(undefined));
  });

  it("sorts by UTF-8 bytes, not by code units", () => {
    const context = { "\u{1F600}": "astral", "\uFF5E": "fullwidth", a: "ascii" };
    expect(encode(context)).toEqual(expectedAad("value", keyId, label, context));
    expect(encode(context).indexOf("fullwidth")).toBeLessThan(encode(context).indexOf("astral"));
  });

  it("does not depend on the order of the pairs", () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const reversed = Object.fromEntries(Object.entries(context).reverse());
        expect(encode(reversed)).toEqual(encode(context));
      }),
    );
  });

  it("gives each call memory of its own", () => {
    const first = encode({ row: "1" });
    const copy = Buffer.from(first);
    encode({ row: "2" }).fill(0);
    encode(undefined).fill(0);
    expect(first).toEqual(copy);
    expect(encode(undefined)).toEqual(expectedAad("value", keyId, label, {}));
  });

  it("differs for any change of kind, key, version or context", () => {
    const kinds: CiphertextKind[] = ["value", "typed", "file-key", "data-key", "secret"];
    const encoders = [
      ...kinds.map((kind) => createAadEncoder(kind, keyId, label)),
      createAadEncoder("value", keyId.replace("3", "4"), label),
      createAadEncoder("value", keyId, "4-k7f2qd"),
      createAadEncoder("value", keyId, "3-k7f2qe"),
    ];
    const given: (Context | undefined)[] = [
      undefined,
      { a: "" },
      { b: "" },
      { a: "b" },
      { ab: "" },
      { a: "", b: "" },
      { a: "b", b: "a" },
      { A: "b" },
    ];
    const all = encoders.flatMap((encoder) => given.map((context) => encoder(context).toString("hex")));
    expect(new Set(all).size).toBe(all.length);
    fc.assert(
      fc.property(contexts, contexts, (a, b) => {
        const equal = JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
        expect(encode(a).equals(encode(b))).toBe(equal);
      }),
    );
  });

  it("reads own properties only", () => {
    class Holder {
      row = "1";
    }
    expectError("INVALID_ARGUMENT", () => encode(new Holder() as unknown as Context));
    expectError("INVALID_ARGUMENT", () => encode(Object.create({ row: "1" }) as Context));
    const hidden: Record<string, string> = { row: "1" };
    Object.defineProperty(hidden, "extra", { value: "x", enumerable: false });
    expect(encode(hidden)).toEqual(encode({ row: "1" }));
  });

  it.each([
    ["a Map", new Map([["row", "1"]])],
    ["an array", ["1"]],
    ["null", null],
    ["text", "row"],
    ["a number", 7],
    ["a function", () => "row"],
  ])("refuses %s", (_, context) => {
    expectError("INVALID_ARGUMENT", () => encode(context as unknown as Context));
  });

  it.each([1, 1n, true, null, undefined, {}, [], new String("x")])("refuses the value %o", (value) => {
    expectError("INVALID_ARGUMENT", () => encode({ row: value } as unknown as Context));
  });

  it.each([{ row: "\uD800" }, { row: `${"x".repeat(600)}\uDC00` }, { "r\uD800": "1" }])("refuses lone surrogates", (context: Context) => {
    expect(expectError("INVALID_ARGUMENT", () => encode(context)).message).toMatch(/lone surrogate/);
  });

  it("bounds number and size of pairs", () => {
    const pairs = (count: number): Context => Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, "v"]));
    expect(encode(pairs(64))).toEqual(expectedAad("value", keyId, label, pairs(64)));
    expectError("INVALID_ARGUMENT", () => encode(pairs(65)));
    expect(encode({ ["é".repeat(127)]: "" })).toHaveLength(expectedAad("value", keyId, label, { ["é".repeat(127)]: "" }).length);
    expectError("INVALID_ARGUMENT", () => encode({ ["é".repeat(128)]: "" }));
    expectError("INVALID_ARGUMENT", () => encode({ "": "x" }));
    expect(encode({ row: "é".repeat(32_768) })).toEqual(expectedAad("value", keyId, label, { row: "é".repeat(32_768) }));
    expectError("INVALID_ARGUMENT", () => encode({ row: `${"é".repeat(32_768)}x` }));
    expectError("INVALID_ARGUMENT", () => encode({ row: "x".repeat(65_537) }));
  });

  it("still works after it refused", () => {
    expectError("INVALID_ARGUMENT", () => encode({ "": "x" }));
    expectError("INVALID_ARGUMENT", () => encode({ row: 5 } as unknown as Context));
    expect(encode({ row: "1" })).toEqual(expectedAad("value", keyId, label, { row: "1" }));
  });

  it("never shows a value in an error", () => {
    const canary = "canary-7f3a";
    const error = expectError("INVALID_ARGUMENT", () => encode({ row: `${canary}\uD800` }));
    expect(error.message).not.toContain(canary);
  });
});
