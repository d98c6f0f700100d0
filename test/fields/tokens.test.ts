import { createHmac, createSecretKey, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createIndexer, deriveIndexKey, type IndexSpec } from "../../src/crypto/blind-index.ts";
import { expectError } from "../crypto/support/expect-error.ts";

const keyBytes = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const key = createSecretKey(keyBytes);

const emailSpec: IndexSpec = {
  datasetId: "0197a3c2-5d1e-7000-8000-000000000001",
  columns: ["email"],
  kind: "exact",
  normaliser: "email",
  normaliserVersion: "1/validator@13.15.35",
  unicodeVersion: "17.0",
  bits: 13,
  generation: 1,
  keyVersion: 1,
};

/** The format's E(…), written again. */
function record(...fields: (string | number)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(String(field), "utf8");
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

function independentKey(spec: IndexSpec): Buffer {
  const { columns, kind, normaliser, normaliserVersion, unicodeVersion, bits } = spec;
  const info = record(
    "keystead index v1",
    spec.datasetId,
    columns.length,
    ...columns,
    kind,
    normaliser,
    normaliserVersion,
    unicodeVersion,
    bits,
  );
  return Buffer.from(hkdfSync("sha256", keyBytes, Buffer.alloc(0), info, 32));
}

/** The format's token, bit by bit. */
function independentToken(spec: IndexSpec, values: readonly string[]): string {
  const mac = createHmac("sha256", independentKey(spec))
    .update(record(...values))
    .digest();
  const bits = Array.from(mac, (byte) => byte.toString(2).padStart(8, "0"))
    .join("")
    .slice(0, spec.bits);
  const padded = bits.padEnd(Math.ceil(spec.bits / 8) * 8, "0");
  const bytes = Buffer.from((padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  return `${spec.generation}.${bytes.toString("base64url")}`;
}

describe("blind-index tokens", () => {
  it.each([
    [emailSpec, ["anna@example.org"], "1.KQg"],
    [{ ...emailSpec, bits: 256 }, ["anna@example.org"], "1.r_Q-qtAnXq6sxi1IbP6T23zY8NGYtE2Fu1bgnQ6JaJg"],
    [
      { ...emailSpec, columns: ["national_id"], kind: "last(4)", normaliser: "digits", normaliserVersion: "1", bits: 8, generation: 7 },
      ["6789"],
      "7.wA",
    ],
    [
      {
        ...emailSpec,
        columns: ["surname", "born"],
        kind: "compound",
        normaliser: "text,none",
        normaliserVersion: "1,1",
        bits: 20,
        generation: 2,
      },
      ["müller", "1980-05-01"],
      "2.sPLA",
    ],
    [
      { ...emailSpec, columns: ["surname"], kind: "soundex", normaliser: "text", normaliserVersion: "1;soundex@1", bits: 9 },
      ["M460"],
      "1.koA",
    ],
  ])("are those that a program in another language made (%#)", (spec, values, token) => {
    expect(createIndexer(key, spec)(values)).toBe(token);
  });

  it("are the leftmost bits of the HMAC, spare bits zero, for every size", () => {
    for (let bits = 8; bits <= 256; bits++) {
      const spec = { ...emailSpec, bits };
      expect(createIndexer(key, spec)(["anna@example.org"])).toBe(independentToken(spec, ["anna@example.org"]));
    }
  });

  it("agree with the independent derivation for any names and values", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
        text,
        text,
        fc.integer({ min: 8, max: 256 }),
        (pairs, kind, id, bits) => {
          const spec = { ...emailSpec, datasetId: id, columns: pairs.map(([column]) => column), kind, bits };
          const values = pairs.map(([, value]) => value);
          expect(deriveIndexKey(key, spec).export()).toEqual(independentKey(spec));
          expect(createIndexer(key, spec)(values)).toBe(independentToken(spec, values));
        },
      ),
    );
  });

  it.each<[string, Partial<IndexSpec>]>([
    ["dataset", { datasetId: "0197a3c2-5d1e-7000-8000-000000000002" }],
    ["column", { columns: ["e-mail"] }],
    ["kind", { kind: "last(4)" }],
    ["argument of the kind", { kind: "last(5)" }],
    ["normaliser", { normaliser: "text" }],
    ["normaliser version", { normaliserVersion: "1/validator@13.15.36" }],
    ["Unicode version", { unicodeVersion: "16.0" }],
    ["size", { bits: 255 }],
    ["generation", { generation: 2 }],
  ])("of another %s are other tokens", (_, change) => {
    const spec = { ...emailSpec, bits: 256 };
    const token = createIndexer(key, spec)(["same"]);
    const other = createIndexer(key, { ...spec, ...change })(["same"]);
    expect(other).not.toBe(token);
    // The same leading bits would say that the two keys are the same.
    if (change.generation === undefined) expect(other.slice(0, 20)).not.toBe(token.slice(0, 20));
  });

  it("tell how values are divided between columns", () => {
    const index = createIndexer(key, { ...emailSpec, columns: ["a", "b"], bits: 256 });
    expect(new Set([index(["ab", "c"]), index(["a", "bc"]), index(["abc", ""]), index(["", "abc"])]).size).toBe(4);
    const one = createIndexer(key, { ...emailSpec, columns: ["a,b"], bits: 256 });
    const joined = createIndexer(key, { ...emailSpec, columns: ["a", "b"], bits: 256 });
    expect(one(["x"]).slice(2)).not.toBe(joined(["x", ""]).slice(2));
  });

  it.each<[string, Partial<IndexSpec>]>([
    ["too few bits", { bits: 7 }],
    ["too many bits", { bits: 257 }],
    ["half a bit", { bits: 8.5 }],
    ["generation 0", { generation: 0 }],
    ["half a generation", { generation: 1.5 }],
    ["no columns", { columns: [] }],
    ["a lone surrogate", { columns: ["\ud800"] }],
  ])("are refused for %s", (_, change) => {
    expectError("INVALID_ARGUMENT", () => createIndexer(key, { ...emailSpec, ...change }));
  });

  it("are refused for values that do not fit the columns, and for lone surrogates", () => {
    const index = createIndexer(key, emailSpec);
    expectError("INVALID_ARGUMENT", () => index([]));
    expectError("INVALID_ARGUMENT", () => index(["a", "b"]));
    const error = expectError("INVALID_ARGUMENT", () => index(["canary\ud800"]));
    expect(error.message).not.toContain("canary");
  });
});
