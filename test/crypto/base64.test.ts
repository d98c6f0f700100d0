import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64 } from "../../src/crypto/base64.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const character = fc.constantFrom(...Array.from(alphabet), "=", "=", "-", "_", " ", "\n", "\u00e9", "\u2028");

describe("decodeBase64", () => {
  it("opens what an encoder writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(decodeBase64(Buffer.from(bytes).toString("base64"))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it("opens nothing else", () => {
    const texts = fc.oneof(
      fc.string({ unit: character, maxLength: 12 }),
      // Nearly right ones: one character of a right one is another.
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.nat(15), character).map(([bytes, at, other]) => {
        const text = Buffer.from(bytes).toString("base64");
        return text.slice(0, at % text.length) + other + text.slice((at % text.length) + 1);
      }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const encodedAgain = Buffer.from(text, "base64");
        expect(decodeBase64(text)).toEqual(encodedAgain.toString("base64") === text ? encodedAgain : undefined);
      }),
      { numRuns: 20_000 },
    );
  });
});
