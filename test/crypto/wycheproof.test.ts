import { createPublicKey, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { hkdf } from "../../src/crypto/kdf.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { type AeadName, createAead } from "./support/aead.ts";
import { expectError } from "./support/expect-error.ts";
import { hex, readVectors, type Vector, type VectorFile } from "./support/vectors.ts";

interface AeadGroup {
  readonly keySize: number;
  readonly ivSize: number;
  readonly tagSize: number;
}

interface AeadVector extends Vector {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

function countTests(file: VectorFile<unknown, Vector>): number {
  return file.testGroups.reduce((count, group) => count + group.tests.length, 0);
}

describe.each<[AeadName, string, number]>([
  ["AES-256-GCM", "aes_gcm", 66],
  ["ChaCha20-Poly1305", "chacha20_poly1305", 316],
])("Wycheproof %s", (name, path, applicable) => {
  const file = readVectors(`wycheproof/${path}.json`) as VectorFile<AeadGroup, AeadVector>;
  const tests = file.testGroups.flatMap(({ tests: vectors, ...group }) => vectors.map((vector) => ({ ...group, ...vector })));
  const fits = ({ keySize, ivSize, tagSize }: AeadGroup): boolean => keySize === 256 && ivSize === 96 && tagSize === 128;
  const fitting = tests.filter(fits);
  const others = tests.filter((test) => !fits(test));

  it(`has ${applicable} tests for a 256-bit key, 96-bit nonce and 128-bit tag`, () => {
    expect(tests).toHaveLength(file.numberOfTests);
    expect(fitting).toHaveLength(applicable);
    process.stdout.write(
      `Wycheproof ${name}: ${fitting.length} of ${tests.length} tests opened, ${others.length} refused for their key or nonce size\n`,
    );
  });

  it.each(fitting)("test $tcId is $result", ({ key, iv, aad, msg, ct, tag, result }) => {
    const opened = createAead(name, hex(key)).open(hex(iv + ct + tag), hex(aad));
    expect(opened).toEqual(result === "valid" ? hex(msg) : undefined);
  });

  it.each(others)("test $tcId with a key of $keySize and a nonce of $ivSize bits is refused", ({ keySize, key, iv, aad, ct, tag }) => {
    if (keySize === 256) expect(createAead(name, hex(key)).open(hex(iv + ct + tag), hex(aad))).toBeUndefined();
    else expectError("INVALID_ARGUMENT", () => KeyMaterial.import(algorithms[name], hex(key)));
  });
});

interface MacVector extends Vector {
  readonly key: string;
  readonly msg: string;
  readonly tag: string;
}

describe("Wycheproof HMAC-SHA-256", () => {
  const file = readVectors("wycheproof/hmac_sha256.json") as VectorFile<{ readonly tagSize: number }, MacVector>;
  const hmac = algorithms["HMAC-SHA-256"];

  it("has the tests that the file promises", () => {
    expect(countTests(file)).toBe(file.numberOfTests);
  });

  it.each(file.testGroups.flatMap((group) => group.tests.map((test) => ({ ...test, tagSize: group.tagSize }))))(
    "test $tcId with a tag of $tagSize bits is $result",
    ({ key, msg, tag, result, tagSize }) => {
      const secret = createSecretKey(hex(key));
      expect(
        hmac
          .mac(secret, hex(msg))
          .subarray(0, tagSize / 8)
          .equals(hex(tag)),
      ).toBe(result === "valid");
      // A whole tag verifies; a shortened one never does.
      expect(hmac.verifyMac(secret, hex(msg), hex(tag))).toBe(result === "valid" && tagSize === 256);
    },
  );
});

interface HkdfVector extends Vector {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}

describe("Wycheproof HKDF-SHA-256", () => {
  const file = readVectors("wycheproof/hkdf_sha256.json") as VectorFile<unknown, HkdfVector>;

  it("has the tests that the file promises", () => {
    expect(countTests(file)).toBe(file.numberOfTests);
  });

  it.each(file.testGroups.flatMap((group) => group.tests))("test $tcId is $result", ({ ikm, salt, info, size, okm, result }) => {
    const derive = (): Buffer => hkdf(hex(ikm), hex(info), size, hex(salt));
    if (result === "valid") expect(derive()).toEqual(hex(okm));
    else expect(derive).toThrow();
  });
});

interface SignatureVector extends Vector {
  readonly msg: string;
  readonly sig: string;
}

describe("Wycheproof Ed25519", () => {
  const file = readVectors("wycheproof/ed25519.json") as VectorFile<{ readonly publicKeyDer: string }, SignatureVector>;

  it("has the tests that the file promises", () => {
    expect(countTests(file)).toBe(file.numberOfTests);
  });

  it.each(file.testGroups.flatMap(({ publicKeyDer, tests }) => tests.map((test) => ({ ...test, publicKeyDer }))))(
    "test $tcId is $result",
    ({ publicKeyDer, msg, sig, result }) => {
      const publicKey = createPublicKey({ key: hex(publicKeyDer), format: "der", type: "spki" });
      expect(algorithms.Ed25519.verify(publicKey, hex(msg), hex(sig))).toBe(result === "valid");
    },
  );
});
