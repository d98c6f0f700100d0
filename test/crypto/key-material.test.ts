import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { ed25519 as nobleEd25519 } from "@noble/curves/ed25519.js";
import { hkdf as nobleHkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { algorithms, findAlgorithm, isAlgorithmName } from "../../src/crypto/algorithms.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { expectError } from "./support/expect-error.ts";
import { flipBit } from "./support/flip-bit.ts";
import { scriptedRandom } from "./support/random.ts";

const keyId = "3e0c4b5a-6f5e-4a53-9d37-0c1f3f7f2b11";
const all = Object.values(algorithms);

/** The first 30 bits as base32, by arithmetic. */
function base32Of30Bits(bytes: Uint8Array): string {
  const bits = Buffer.from(bytes).readUInt32BE() >>> 2;
  return Array.from({ length: 6 }, (_, index) => "abcdefghijklmnopqrstuvwxyz234567"[(bits >>> (25 - 5 * index)) & 31]).join("");
}

function lengthPrefixed(...fields: string[]): Buffer {
  return Buffer.concat(fields.map((field) => Buffer.concat([Buffer.from([0, 0, 0, field.length]), Buffer.from(field)])));
}

describe("findAlgorithm", () => {
  it("finds each by its name", () => {
    expect(Object.keys(algorithms)).toEqual([
      "XAES-256-GCM",
      "AES-256-GCM",
      "ChaCha20-Poly1305",
      "AES-256-GCM-KC",
      "HMAC-SHA-256",
      "Ed25519",
    ]);
    for (const [name, algorithm] of Object.entries(algorithms)) {
      expect(findAlgorithm(name)).toBe(algorithm);
      expect(algorithm.name).toBe(name);
      expect(isAlgorithmName(name)).toBe(true);
    }
  });

  it.each(["", "xaes-256-gcm", "AES-128-GCM", "toString", "__proto__", "constructor"])("refuses %j and lists the names", (name) => {
    expect(expectError("UNKNOWN_ALGORITHM", () => findAlgorithm(name)).message).toMatch(/XAES-256-GCM, AES-256-GCM, .*Ed25519/);
  });

  it("limits the messages of algorithms with short nonces only", () => {
    const limits = all.flatMap((algorithm) => (algorithm.kind === "aead" ? [[algorithm.name, algorithm.messageLimit]] : []));
    expect(Object.fromEntries(limits)).toEqual({
      "XAES-256-GCM": undefined,
      "AES-256-GCM": 2 ** 32,
      "ChaCha20-Poly1305": 2 ** 32,
      "AES-256-GCM-KC": undefined,
    });
  });
});

describe.each(all)("KeyMaterial of $name", (algorithm) => {
  it("is generated from the random source, exported and imported", () => {
    const material = KeyMaterial.generate(algorithm, systemRandom);
    const copy = KeyMaterial.import(algorithm, material.exportBytes());
    expect(copy.key.equals(material.key)).toBe(true);
    expect(copy.exportBytes()).toEqual(material.exportBytes());
    expect(copy.publicKeyDer()).toEqual(material.publicKeyDer());
    expect(material.algorithm).toBe(algorithm);
    expect(KeyMaterial.generate(algorithm, systemRandom).key.equals(material.key)).toBe(false);
    const seed = Buffer.alloc(32, 1);
    expect(KeyMaterial.generate(algorithm, scriptedRandom(seed)).exportBytes().subarray(-32)).toEqual(seed);
  });

  it("has the fingerprint of the format", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.integer({ min: 1, max: 1_000 }), (seed, version) => {
        const material = KeyMaterial.generate(algorithm, scriptedRandom(seed));
        const input = material.publicKeyDer() ?? seed;
        const info = lengthPrefixed("keystead fingerprint v1", keyId, String(version));
        expect(material.fingerprint(keyId, version)).toBe(base32Of30Bits(nobleHkdf(sha256, input, undefined, info, 4)));
      }),
    );
  });

  it("tells keys, ids and versions apart", () => {
    const [one, two] = [KeyMaterial.generate(algorithm, systemRandom), KeyMaterial.generate(algorithm, systemRandom)];
    const all = [one.fingerprint(keyId, 1), one.fingerprint(keyId, 2), one.fingerprint("other", 1), two.fingerprint(keyId, 1)];
    expect(new Set(all).size).toBe(4);
  });

  it("refuses what is no key of it, without repeating it", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey.export({ type: "pkcs8", format: "der" });
    const x25519 = generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "der" });
    const refused = [Buffer.alloc(0), Buffer.alloc(16, 0x61), Buffer.alloc(31, 0x61), Buffer.alloc(513, 0x61), rsa];
    if (algorithm.kind !== "mac") refused.push(Buffer.alloc(33, 0x61), x25519);
    for (const bytes of refused) {
      const error = expectError("INVALID_ARGUMENT", () => KeyMaterial.import(algorithm, bytes));
      expect(error.message).not.toMatch(/aaaa|6161/);
      expect(error.cause).toBeUndefined();
    }
  });

  it("gives copies of its bytes", () => {
    const material = KeyMaterial.generate(algorithm, systemRandom);
    const bytes = material.exportBytes();
    const before = Buffer.from(bytes);
    bytes.fill(0);
    expect(material.exportBytes()).toEqual(before);
    const given = Buffer.from(before);
    const imported = KeyMaterial.import(algorithm, given);
    given.fill(0);
    expect(imported.exportBytes()).toEqual(before);
  });
});

describe("Ed25519", () => {
  const algorithm = algorithms.Ed25519;

  it("signs as @noble signs, and each verifies the other", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 200 }), (seed, data) => {
        const material = KeyMaterial.generate(algorithm, scriptedRandom(seed));
        const signature = algorithm.sign(material.key, data);
        expect(signature).toEqual(Buffer.from(nobleEd25519.sign(data, seed)));
        const publicKey = nobleEd25519.getPublicKey(seed);
        expect(material.publicKeyDer()?.subarray(-32)).toEqual(Buffer.from(publicKey));
        expect(nobleEd25519.verify(signature, data, publicKey)).toBe(true);
        expect(algorithm.verify(createPublicKey(material.key), data, signature)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("verifies nothing else", () => {
    const material = KeyMaterial.generate(algorithm, systemRandom);
    const publicKey = createPublicKey(material.key);
    const data = Buffer.from("data");
    const signature = algorithm.sign(material.key, data);
    for (let bit = 0; bit < signature.length * 8; bit++) expect(algorithm.verify(publicKey, data, flipBit(signature, bit))).toBe(false);
    for (let length = 0; length < signature.length; length++)
      expect(algorithm.verify(publicKey, data, signature.subarray(0, length))).toBe(false);
    expect(algorithm.verify(publicKey, data, Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
    expect(algorithm.verify(publicKey, Buffer.from("Data"), signature)).toBe(false);
    const others = [
      generateKeyPairSync("ed25519").publicKey,
      generateKeyPairSync("x25519").publicKey,
      generateKeyPairSync("ed448").publicKey,
    ];
    for (const other of others) expect(algorithm.verify(other, data, signature)).toBe(false);
  });

  it("writes PKCS#8 that Node reads", () => {
    const bytes = KeyMaterial.generate(algorithm, systemRandom).exportBytes();
    expect(createPrivateKey({ key: bytes, format: "der", type: "pkcs8" }).asymmetricKeyType).toBe("ed25519");
  });
});

describe("HMAC-SHA-256", () => {
  const algorithm = algorithms["HMAC-SHA-256"];

  it("gives what @noble gives", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 200 }), fc.uint8Array({ maxLength: 300 }), (key, data) => {
        expect(algorithm.mac(KeyMaterial.import(algorithm, key).key, data)).toEqual(Buffer.from(hmac(sha256, key, data)));
      }),
    );
  });

  it("verifies the whole tag only", () => {
    const { key } = KeyMaterial.generate(algorithm, systemRandom);
    const data = Buffer.from("data");
    const tag = algorithm.mac(key, data);
    expect(algorithm.verifyMac(key, data, tag)).toBe(true);
    for (let bit = 0; bit < tag.length * 8; bit++) expect(algorithm.verifyMac(key, data, flipBit(tag, bit))).toBe(false);
    for (let length = 0; length < tag.length; length++) expect(algorithm.verifyMac(key, data, tag.subarray(0, length))).toBe(false);
    expect(algorithm.verifyMac(key, data, Buffer.concat([tag, tag]))).toBe(false);
    expect(algorithm.verifyMac(key, Buffer.from("Data"), tag)).toBe(false);
  });
});
