import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { maxPayloadBytes } from "../../src/crypto/limits.ts";
import { aeadNames, createAead, nobleSeal, payloadNonceBytes } from "./support/aead.ts";
import { expectError } from "./support/expect-error.ts";
import { flipBit } from "./support/flip-bit.ts";
import { scriptedRandom } from "./support/random.ts";

const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
const messages = fc.uint8Array({ maxLength: 300 });

describe.each(aeadNames)("%s", (name) => {
  const nonces = fc.uint8Array({ minLength: payloadNonceBytes[name], maxLength: payloadNonceBytes[name] });
  const key = Buffer.alloc(32, 7);
  const aad = Buffer.from("additional data");
  const plaintext = Buffer.from("the plaintext");

  it("seals what it opens", () => {
    fc.assert(
      fc.property(keys, messages, messages, (anyKey, message, data) => {
        const aead = createAead(name, anyKey);
        const sealed = aead.seal(message, data);
        expect(sealed).toHaveLength(message.length + algorithms[name].payloadOverhead);
        expect(aead.open(sealed, data)).toEqual(Buffer.from(message));
        expect(createAead(name, anyKey).open(sealed, data)).toEqual(Buffer.from(message));
      }),
    );
  });

  it("writes the bytes that @noble writes, and opens them", () => {
    fc.assert(
      fc.property(keys, nonces, messages, messages, (anyKey, nonce, message, data) => {
        const expected = nobleSeal[name](anyKey, nonce, message, data);
        expect(createAead(name, anyKey, scriptedRandom(nonce)).seal(message, data)).toEqual(expected);
        expect(createAead(name, anyKey).open(expected, data)).toEqual(Buffer.from(message));
      }),
    );
  });

  it("takes views into larger memory", () => {
    const aead = createAead(name, key);
    const sealed = aead.seal(plaintext, aad);
    const view = new Uint8Array(Buffer.concat([Buffer.alloc(5), sealed, Buffer.alloc(5)])).subarray(5, 5 + sealed.length);
    expect(aead.open(view, Uint8Array.from(aad))).toEqual(plaintext);
  });

  it("never repeats a nonce", () => {
    const aead = createAead(name, key);
    const seen = new Set(Array.from({ length: 2_000 }, () => aead.seal(plaintext, aad).toString("latin1", 0, payloadNonceBytes[name])));
    expect(seen.size).toBe(2_000);
  });

  it("does not open with any one bit flipped", () => {
    const sealer = createAead(name, key);
    const sealed = sealer.seal(plaintext, aad);
    for (const opener of [sealer, createAead(name, key)]) {
      for (let bit = 0; bit < sealed.length * 8; bit++) expect(opener.open(flipBit(sealed, bit), aad)).toBeUndefined();
      for (let bit = 0; bit < aad.length * 8; bit++) expect(opener.open(sealed, flipBit(aad, bit))).toBeUndefined();
      expect(opener.open(sealed, aad)).toEqual(plaintext);
    }
    for (let bit = 0; bit < key.length * 8; bit++) expect(createAead(name, flipBit(key, bit)).open(sealed, aad)).toBeUndefined();
  });

  it("does not open cut, extended or empty, the tag shortened included", () => {
    const aead = createAead(name, key);
    const sealed = aead.seal(plaintext, aad);
    for (let length = 0; length < sealed.length; length++) {
      expect(aead.open(sealed.subarray(0, length), aad)).toBeUndefined();
      if (length > 0) expect(aead.open(sealed.subarray(length), aad)).toBeUndefined();
    }
    expect(aead.open(Buffer.concat([sealed, Buffer.alloc(1)]), aad)).toBeUndefined();
    expect(aead.open(sealed, aad.subarray(1))).toBeUndefined();
    expect(aead.open(sealed, Buffer.alloc(0))).toBeUndefined();
  });

  it("opens nothing that is random, without throwing", () => {
    const aead = createAead(name, key);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), messages, (payload, data) => {
        expect(aead.open(payload, data)).toBeUndefined();
      }),
    );
  });

  it("refuses what would be too long for a payload, both ways", () => {
    const aead = createAead(name, key);
    // Zeroed memory that is never touched costs nothing.
    const long = new Uint8Array(maxPayloadBytes + 1);
    expect(expectError("INVALID_ARGUMENT", () => aead.seal(long, aad)).message).toMatch(/stream/);
    expect(aead.open(long, aad)).toBeUndefined();
  });
});

describe("algorithms", () => {
  it("do not open each other's payloads", () => {
    const key = Buffer.alloc(32, 7);
    const aad = Buffer.alloc(0);
    for (const sealer of aeadNames) {
      const sealed = createAead(sealer, key).seal(Buffer.alloc(64), aad);
      for (const opener of aeadNames) {
        expect(createAead(opener, key).open(sealed, aad) !== undefined, `${opener} opens ${sealer}`).toBe(sealer === opener);
      }
    }
  });
});
