import { createSecretKey, hkdfSync } from "node:crypto";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hkdf } from "../../src/crypto/kdf.ts";
import { expectError } from "./support/expect-error.ts";

const inputs = [
  fc.uint8Array({ minLength: 1, maxLength: 100 }),
  fc.uint8Array({ maxLength: 2_000 }),
  fc.integer({ min: 1, max: 300 }),
  fc.uint8Array({ maxLength: 100 }),
] as const;

describe("hkdf", () => {
  it("gives what @noble and Node give", () => {
    fc.assert(
      fc.property(...inputs, (key, info, length, salt) => {
        const expected = Buffer.from(nobleHkdf(sha256, key, salt, info, length));
        expect(hkdf(key, info, length, salt)).toEqual(expected);
        expect(hkdf(createSecretKey(key), info, length, salt)).toEqual(expected);
        if (info.length <= 1_024) expect(Buffer.from(hkdfSync("sha256", key, salt, info, length))).toEqual(expected);
      }),
    );
  });

  it("uses no salt unless one is named, and leaves its inputs alone", () => {
    const key = Buffer.alloc(32, 5);
    const info = Buffer.from("info");
    expect(hkdf(key, info, 64)).toEqual(hkdf(key, info, 64, Buffer.alloc(32)));
    expect(key).toEqual(Buffer.alloc(32, 5));
    expect(info).toEqual(Buffer.from("info"));
  });

  it.each([0, -1, 1.5, NaN, 8_161])("refuses a length of %d", (length) => {
    expectError("INVALID_ARGUMENT", () => hkdf(Buffer.alloc(32), Buffer.alloc(0), length));
  });

  it("derives up to 8,160 bytes", () => {
    expect(hkdf(Buffer.alloc(32), Buffer.alloc(0), 8_160)).toEqual(
      Buffer.from(nobleHkdf(sha256, Buffer.alloc(32), undefined, undefined, 8_160)),
    );
  });
});
