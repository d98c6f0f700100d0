import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  binaryPrefix,
  formatBinary,
  formatLabel,
  formatText,
  isKeyFingerprint,
  isKeyName,
  parseBinary,
  parseLabel,
  parseText,
  streamPrefix,
  textPrefix,
} from "../../src/crypto/ciphertext.ts";
import { maxPayloadBytes } from "../../src/crypto/limits.ts";
import { expectError } from "./support/expect-error.ts";
import { flipBit } from "./support/flip-bit.ts";

const first = fc.constantFrom(...Array.from("AZaz09"));
const rest = fc.string({ unit: fc.constantFrom(...Array.from("AZaz09._~-")), maxLength: 20 });
const segment = fc.tuple(first, rest).map((parts) => parts.join(""));
const keyNames = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"));
const fingerprints = fc.string({ unit: fc.constantFrom(...Array.from("abcdefghijklmnopqrstuvwxyz234567")), minLength: 6, maxLength: 6 });
const versions = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const payloads = fc.uint8Array({ minLength: 28, maxLength: 200 }).map((bytes) => Buffer.from(bytes));

const payload = Buffer.from(Array.from({ length: 61 }, (_, index) => (index * 37) & 0xff));
const text = formatText(textPrefix("acme/pii-email", "3-k7f2qd"), payload);
const binary = formatBinary(binaryPrefix("acme/pii-email", "3-k7f2qd"), payload);

describe("key names", () => {
  it.each(["a", "pii-email", "acme/pii-email", "A/b/c/d", "0.~_-", "a".repeat(255), "a/".repeat(3) + "a".repeat(249)])(
    "%j is one",
    (name) => {
      expect(isKeyName(name)).toBe(true);
    },
  );

  it.each([
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "a/b/c/d/e",
    ".a",
    "-a",
    "~a",
    "_a",
    "a/.b",
    "a b",
    "a:b",
    "é",
    "a\n",
    "\na",
    "a".repeat(256),
    "ａ",
  ])("%j is none", (name) => {
    expect(isKeyName(name)).toBe(false);
  });
});

describe("labels", () => {
  it("round trip", () => {
    fc.assert(
      fc.property(versions, fingerprints, (version, fingerprint) => {
        expect(parseLabel(formatLabel(version, fingerprint))).toEqual({ version, fingerprint });
      }),
    );
  });

  it.each([
    "",
    "3",
    "3-",
    "-k7f2qd",
    "0-k7f2qd",
    "03-k7f2qd",
    "3-k7f2q",
    "3-k7f2qdd",
    "3-K7F2QD",
    "3-k7f2q1",
    "3-k7f2q0",
    "+3-k7f2qd",
    "3--k7f2qd",
    "2147483648-k7f2qd",
    "99999999999-k7f2qd",
    "3-k7f2qd\n",
    "3.0-k7f2qd",
    "1e3-k7f2qd",
  ])("%j is none", (label) => {
    expect(parseLabel(label)).toBeUndefined();
  });

  it.each<[number, string]>([
    [0, "k7f2qd"],
    [-1, "k7f2qd"],
    [1.5, "k7f2qd"],
    [NaN, "k7f2qd"],
    [2 ** 31, "k7f2qd"],
    [1, "k7f2q"],
    [1, "K7F2QD"],
  ])("are not made of %d and %j", (version, fingerprint) => {
    expectError("INVALID_ARGUMENT", () => formatLabel(version, fingerprint));
  });

  it("hold fingerprints of six base32 characters", () => {
    expect(isKeyFingerprint("k7f2qd")).toBe(true);
    for (const other of ["", "k7f2q", "k7f2qda", "k7f2q1", "K7f2qd", "k7f2qd\n"]) expect(isKeyFingerprint(other)).toBe(false);
  });
});

describe("prefixes", () => {
  it("are as the format says", () => {
    expect(textPrefix("acme/pii-email", "3-k7f2qd")).toBe("ks1:acme/pii-email:3-k7f2qd:");
    expect(binaryPrefix("acme/pii-email", "3-k7f2qd").toString()).toBe("ks1b:acme/pii-email:3-k7f2qd:");
    expect(streamPrefix("acme/pii-email", "3-k7f2qd").toString()).toBe("ks1s:acme/pii-email:3-k7f2qd:");
  });

  it("refuse other names and labels", () => {
    for (const prefix of [textPrefix, binaryPrefix, streamPrefix]) {
      expectError("INVALID_ARGUMENT", () => prefix("a:b", "3-k7f2qd"));
      expectError("INVALID_ARGUMENT", () => prefix("a", "03-k7f2qd"));
    }
  });
});

describe("parseText and parseBinary", () => {
  it("round trip", () => {
    fc.assert(
      fc.property(keyNames, versions, fingerprints, payloads, (key, version, fingerprint, sealed) => {
        const label = formatLabel(version, fingerprint);
        const expected = { key, version, fingerprint, label, payload: sealed };
        expect(parseText(formatText(textPrefix(key, label), sealed))).toEqual(expected);
        expect(parseBinary(formatBinary(binaryPrefix(key, label), sealed))).toEqual(expected);
      }),
    );
  });

  it("take the longest header", () => {
    const key = "k".repeat(255);
    const label = formatLabel(2 ** 31 - 1, "zzzzzz");
    expect(parseText(formatText(textPrefix(key, label), payload))).toMatchObject({ key, label });
    expect(parseBinary(formatBinary(binaryPrefix(key, label), payload))).toMatchObject({ key, label });
    expect(parseText(`ks1:k${key}:${label}:${payload.toString("base64url")}`)).toBeUndefined();
    expect(parseBinary(Buffer.concat([Buffer.from(`ks1b:k${key}:${label}:`), payload]))).toBeUndefined();
  });

  it("find every truncation that a reader can see", () => {
    for (let length = 0; length < text.length; length++) {
      const parsed = parseText(text.slice(0, length));
      // What is cut between whole payload bytes is only found by the tag.
      if (parsed !== undefined) expect(formatText(textPrefix(parsed.key, parsed.label), parsed.payload)).toBe(text.slice(0, length));
    }
    const headerLength = binary.length - payload.length;
    for (let length = 0; length < binary.length; length++) {
      expect(parseBinary(binary.subarray(0, length)) !== undefined, `${length} bytes`).toBe(length >= headerLength + 28);
    }
    const textHeaderLength = textPrefix("acme/pii-email", "3-k7f2qd").length;
    for (let length = 0; length < textHeaderLength + 38; length++)
      expect(parseText(text.slice(0, length)), `${length} characters`).toBeUndefined();
  });

  it("accept a text only as it would be written", () => {
    const characters = [...Array.from(":-/._~+= \n\t\0AaZz09é"), "\uD800", "\uFF21"];
    const changes = fc.tuple(fc.nat(text.length), fc.constantFrom(...characters), fc.nat(1));
    fc.assert(
      fc.property(changes, ([position, character, removed]) => {
        const changed = text.slice(0, position) + character + text.slice(position + removed);
        const parsed = parseText(changed);
        if (parsed !== undefined) expect(formatText(textPrefix(parsed.key, parsed.label), parsed.payload)).toBe(changed);
      }),
      { numRuns: 3_000 },
    );
  });

  it.each([
    ["padding", `${formatText(textPrefix("k", "1-aaaaaa"), payload.subarray(0, 31))}==`],
    ["the other base64 alphabet", `ks1:k:1-aaaaaa:${"+/".repeat(20)}`],
    ["spare bits", `ks1:k:1-aaaaaa:${"A".repeat(41)}B`],
    ["an impossible length", `ks1:k:1-aaaaaa:${"A".repeat(41)}`],
    ["white space", `ks1:k:1-aaaaaa:${"A".repeat(40)}\n`],
    ["leading white space", ` ${text}`],
    ["a short payload", `ks1:k:1-aaaaaa:${"A".repeat(36)}`],
    ["an empty payload", "ks1:k:1-aaaaaa:"],
    ["a fourth colon", `ks1:k:1-aaaaaa::${"A".repeat(40)}`],
    ["no third colon", `ks1:k:1-aaaaaa${"A".repeat(40)}`],
    ["no second colon", "ks1:k"],
    ["nothing", ""],
    ["the magic alone", "ks1:"],
    ["only colons", "ks1:::"],
    ["capitals", `KS1:k:1-aaaaaa:${"A".repeat(40)}`],
    ["the binary magic", `ks1b:k:1-aaaaaa:${"A".repeat(40)}`],
    ["another version", `ks2:k:1-aaaaaa:${"A".repeat(40)}`],
    ["an alias with a space", `ks1:my key:1-aaaaaa:${"A".repeat(40)}`],
    ["a character beyond latin1 with the same low byte", `ks1:\u016B:1-aaaaaa:${"A".repeat(40)}`],
  ])("refuse text with %s", (_, other) => {
    expect(parseText(other)).toBeUndefined();
    // Not even when it was refused before.
    expect(parseText(other)).toBeUndefined();
  });

  it("do not take the wide spelling of a header that they know", () => {
    expect(parseText(text)).toBeDefined();
    expect(parseText(text.replace("pii-email", "\u0170ii-email"))).toBeUndefined();
  });

  it("never throw", () => {
    const tails = fc.string({ unit: "binary", maxLength: 80 });
    fc.assert(
      fc.property(tails, (tail) => {
        for (const begin of ["", "ks1:", "ks1:k:", "ks1:k:1-aaaaaa:"]) {
          const parsed = parseText(begin + tail);
          if (parsed !== undefined) expect(formatText(textPrefix(parsed.key, parsed.label), parsed.payload)).toBe(begin + tail);
        }
      }),
      { numRuns: 1_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (tail) => {
        for (const begin of ["", "ks1b:", "ks1b:k:", "ks1b:k:1-aaaaaa:"]) {
          const bytes = Buffer.concat([Buffer.from(begin), tail]);
          const parsed = parseBinary(bytes);
          if (parsed !== undefined) expect(formatBinary(binaryPrefix(parsed.key, parsed.label), parsed.payload)).toEqual(bytes);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("find one flipped bit in a header, or read another header", () => {
    const headerBits = (binary.length - payload.length) * 8;
    for (let bit = 0; bit < headerBits; bit++) {
      const changed = flipBit(binary, bit);
      const parsed = parseBinary(changed);
      if (parsed !== undefined) {
        expect(formatBinary(binaryPrefix(parsed.key, parsed.label), parsed.payload)).toEqual(changed);
        expect([parsed.key, parsed.label]).not.toEqual(["acme/pii-email", "3-k7f2qd"]);
      }
    }
  });

  it("know many headers", () => {
    for (let round = 0; round < 2; round++) {
      for (let version = 1; version <= 600; version++)
        expect(parseText(`ks1:k:${version}-aaaaaa:${"A".repeat(40)}`)?.version).toBe(version);
    }
  });

  it("give a payload that the caller may change, and a view for bytes", () => {
    parseText(text)?.payload.fill(0);
    expect(parseText(text)?.payload).toEqual(payload);
    expect(parseBinary(new Uint8Array(binary))?.payload).toEqual(payload);
    expect(parseBinary(binary)?.payload.buffer).toBe(binary.buffer);
  });

  it("bound the size", () => {
    const prefix = "ks1b:k:1-aaaaaa:";
    const large = new Uint8Array(prefix.length + maxPayloadBytes + 1);
    large.set(Buffer.from(prefix));
    expect(parseBinary(large)).toBeUndefined();
    expect(parseBinary(large.subarray(0, prefix.length + maxPayloadBytes))?.payload).toHaveLength(maxPayloadBytes);
    expect(parseText(`ks1:k:1-aaaaaa:${"A".repeat(Math.ceil((maxPayloadBytes * 4) / 3) + 1)}`)).toBeUndefined();
  });
});
