import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeBase32 } from "../../src/crypto/base32.ts";
import { decodeBase64url, encodeBase64url } from "../../src/crypto/base64url.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import { decodeHex, encodeHex } from "../../src/crypto/hex.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/crypto/text.ts";
import { expectError } from "./support/expect-error.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const wellFormed = fc.string({ unit: "binary", maxLength: 100 });

describe("encodeUtf8 and decodeUtf8", () => {
  it("round trip every well-formed text", () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        expect(decodeUtf8(encodeUtf8(text, "text"))).toBe(text);
      }),
    );
  });

  it("keep a byte order mark and do not normalise", () => {
    for (const text of ["\uFEFFx", "e\u0301", "é", "\u0000"]) expect(decodeUtf8(encodeUtf8(text, "text"))).toBe(text);
  });

  it.each(["\uD800", "a\uDC00b", "\uDC00\uD800"])("refuse the lone surrogate in %j, naming the argument", (text) => {
    expect(expectError("INVALID_ARGUMENT", () => encodeUtf8(text, "plaintext")).message).toMatch(/^plaintext contains a lone surrogate/);
  });

  it.each(["80", "c0af", "eda080", "f4908080", "c3", "e282", "fe"])("find the invalid bytes %s", (hex) => {
    expect(decodeUtf8(Buffer.from(hex, "hex"))).toBeUndefined();
  });

  it("agree with TextDecoder about what is valid", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(bytes, (input) => {
        let expected: string | undefined;
        try {
          expected = decoder.decode(input);
        } catch {
          expected = undefined;
        }
        expect(decodeUtf8(input)).toBe(expected);
      }),
    );
  });
});

describe("encodeFields", () => {
  it("writes length and bytes of each field", () => {
    expect(encodeFields("aé", Uint8Array.of(0, 255), 42, -7n).toString("hex")).toBe(
      "0000000361c3a9" + "0000000200ff" + "000000023432" + "000000022d37",
    );
    expect(encodeFields()).toHaveLength(0);
    expect(encodeFields("").toString("hex")).toBe("00000000");
  });

  it("writes different bytes for different lists", () => {
    const fields = fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(fields, fields, (a, b) => {
        expect(encodeFields(...a).equals(encodeFields(...b))).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it.each([1.5, NaN, Infinity, 2 ** 53])("refuses %d", (number) => {
    expectError("INVALID_ARGUMENT", () => encodeFields(number));
  });

  it("refuses a lone surrogate", () => {
    expectError("INVALID_ARGUMENT", () => encodeFields("\uD800"));
  });
});

describe("base64url", () => {
  it("round trips", () => {
    fc.assert(
      fc.property(bytes, (input) => {
        expect(decodeBase64url(encodeBase64url(input))).toEqual(Buffer.from(input));
      }),
    );
  });

  it.each(["AA==", "AA=", "A", "AAAAA", "+A", "/A", "AB", "AAB", " AA", "AA\n", "A A", "AA.", "ＡＡ", "AA\u0000", "é", "="])(
    "refuses %j",
    (text) => {
      expect(decodeBase64url(text)).toBeUndefined();
    },
  );

  it("accepts exactly what it writes", () => {
    const alphabet = fc.constantFrom(...Array.from("ABgwxyz019-_+/= \n"));
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (text) => {
        const decoded = decodeBase64url(text);
        const strict = /^[A-Za-z0-9_-]*$/.test(text) && text.length % 4 !== 1;
        if (decoded === undefined) expect(strict && spareBitsAreZero(text)).toBe(false);
        else expect(encodeBase64url(decoded)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });
});

function spareBitsAreZero(text: string): boolean {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const spareBits = [0, 0, 4, 2][text.length % 4] ?? 0;
  return text === "" || alphabet.indexOf(text.slice(-1)) % 2 ** spareBits === 0;
}

describe("hex", () => {
  it("round trips", () => {
    fc.assert(
      fc.property(bytes, (input) => {
        expect(decodeHex(encodeHex(input))).toEqual(Buffer.from(input));
      }),
    );
  });

  it.each(["0", "0G", "AB", "0x", " 00", "00 ", "zz", "００"])("refuses %j", (text) => {
    expect(decodeHex(text)).toBeUndefined();
  });
});

describe("encodeBase32", () => {
  it.each([
    ["", "", 0],
    ["f", "my", 8],
    ["fo", "mzxq", 16],
    ["foo", "mzxw6", 24],
    ["foob", "mzxw6yq", 32],
    ["fooba", "mzxw6ytb", 40],
    ["foobar", "mzxw6ytboi", 48],
  ])("writes %j as %j (RFC 4648, section 10)", (text, expected, bits) => {
    expect(encodeBase32(Buffer.from(text), bits)).toBe(expected);
  });

  it("writes only the leading bits", () => {
    expect(encodeBase32(Buffer.from("ffffffff", "hex"), 30)).toBe("777777");
    expect(encodeBase32(Buffer.from("ffffffff", "hex"), 6)).toBe("7q");
    expect(encodeBase32(Buffer.from("00000003", "hex"), 30)).toBe("aaaaaa");
  });

  it.each([9, -1, 1.5])("refuses %d bits of one byte", (bits) => {
    expectError("INVALID_ARGUMENT", () => encodeBase32(Buffer.alloc(1), bits));
  });
});
