import { argon2id } from "@noble/hashes/argon2.js";
import { scrypt } from "@noble/hashes/scrypt.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  derivePassphraseKey,
  formatPassphraseParameters,
  newArgon2idParameters,
  newScryptParameters,
  parsePassphraseParameters,
  type PassphraseParameters,
} from "../../src/crypto/passphrase.ts";
import { expectError, expectRejection } from "./support/expect-error.ts";
import { SeededRandom } from "./support/random.ts";

const random = new SeededRandom("salt");
const passphrase = Buffer.from("correct horse battery staple");
const floor = { memoryKib: 19_456, passes: 2, parallelism: 1 } as const;
const salt = Buffer.alloc(16, 3);

describe("passphrase parameters", () => {
  it("have strong defaults and a new salt", () => {
    expect(newArgon2idParameters(random)).toMatchObject({ algorithm: "argon2id", memoryKib: 65_536, passes: 3, parallelism: 1 });
    expect(newScryptParameters(random)).toMatchObject({ algorithm: "scrypt", logCost: 17, blockSize: 8, parallelism: 1 });
    expect(newArgon2idParameters(random).salt).toHaveLength(16);
    expect(newArgon2idParameters(random).salt).not.toEqual(newArgon2idParameters(random).salt);
  });

  it("have a text form", () => {
    const saltText = "AwMDAwMDAwMDAwMDAwMDAw";
    expect(formatPassphraseParameters({ algorithm: "argon2id", ...floor, salt })).toBe(`argon2id:m=19456,t=2,p=1:${saltText}`);
    expect(formatPassphraseParameters({ algorithm: "scrypt", logCost: 17, blockSize: 8, parallelism: 1, salt })).toBe(
      `scrypt:ln=17,r=8,p=1:${saltText}`,
    );
  });

  it("round trip", () => {
    const salts = fc.uint8Array({ minLength: 16, maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    const parallelism = fc.integer({ min: 1, max: 16 });
    const parameters: fc.Arbitrary<PassphraseParameters> = fc.oneof(
      fc.record({
        algorithm: fc.constant("argon2id" as const),
        memoryKib: fc.integer({ min: 19_456, max: 1_048_576 }),
        passes: fc.integer({ min: 2, max: 16 }),
        parallelism,
        salt: salts,
      }),
      fc.record({
        algorithm: fc.constant("scrypt" as const),
        logCost: fc.integer({ min: 17, max: 20 }),
        blockSize: fc.constant(8),
        parallelism,
        salt: salts,
      }),
    );
    fc.assert(
      fc.property(parameters, (given) => {
        expect(parsePassphraseParameters(formatPassphraseParameters(given))).toEqual(given);
      }),
    );
  });

  const saltText = "AwMDAwMDAwMDAwMDAwMDAw";
  it.each([
    `argon2id:m=19455,t=2,p=1:${saltText}`,
    `argon2id:m=1048577,t=2,p=1:${saltText}`,
    `argon2id:m=19456,t=1,p=1:${saltText}`,
    `argon2id:m=19456,t=17,p=1:${saltText}`,
    `argon2id:m=19456,t=2,p=0:${saltText}`,
    `argon2id:m=19456,t=2,p=17:${saltText}`,
    `argon2id:m=99999999999,t=2,p=1:${saltText}`,
    `argon2id:m=019456,t=2,p=1:${saltText}`,
    `argon2id:m=19456,t=2,p=1:${saltText}==`,
    `argon2id:m=19456,t=2,p=1:${saltText.slice(0, 20)}`,
    `argon2id:m=19456,t=2,p=1:${"A".repeat(88)}`,
    `argon2id:m=19456,t=2,p=1:`,
    `argon2id:t=2,m=19456,p=1:${saltText}`,
    `argon2id:m=19456,t=2,p=1:${saltText}\n`,
    ` argon2id:m=19456,t=2,p=1:${saltText}`,
    `argon2i:m=19456,t=2,p=1:${saltText}`,
    `Argon2id:m=19456,t=2,p=1:${saltText}`,
    `scrypt:ln=16,r=8,p=1:${saltText}`,
    `scrypt:ln=21,r=8,p=1:${saltText}`,
    `scrypt:ln=17,r=9,p=1:${saltText}`,
    `scrypt:ln=17,r=8,p=17:${saltText}`,
    `scrypt:ln=17,r=8,p=1:${saltText}:`,
    "",
  ])("%j is refused", (text) => {
    expect(parsePassphraseParameters(text)).toBeUndefined();
  });

  it("of any text do not throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(parsePassphraseParameters(text)).toBeUndefined();
      }),
    );
  });

  it("out of bounds are not written either, and named", () => {
    expect(expectError("INVALID_ARGUMENT", () => newArgon2idParameters(random, { memoryKib: 1_024 })).message).toMatch(
      /memoryKib must be 19456 to 1048576/,
    );
    expectError("INVALID_ARGUMENT", () => newScryptParameters(random, { logCost: 14 }));
    expectError("INVALID_ARGUMENT", () => formatPassphraseParameters({ algorithm: "argon2id", ...floor, salt: Buffer.alloc(15) }));
    expectError("INVALID_ARGUMENT", () => formatPassphraseParameters({ algorithm: "argon2id", ...floor, passes: 2.5, salt }));
  });
});

describe("derivePassphraseKey", () => {
  it("gives the Argon2id that @noble gives", async () => {
    const key = await derivePassphraseKey(passphrase, { algorithm: "argon2id", ...floor, salt });
    expect(key).toEqual(Buffer.from(argon2id(passphrase, salt, { m: floor.memoryKib, t: floor.passes, p: floor.parallelism, dkLen: 32 })));
  });

  it("gives the scrypt that @noble gives", async () => {
    const key = await derivePassphraseKey(passphrase, { algorithm: "scrypt", logCost: 17, blockSize: 8, parallelism: 1, salt });
    expect(key).toEqual(Buffer.from(scrypt(passphrase, salt, { N: 2 ** 17, r: 8, p: 1, dkLen: 32, maxmem: 2 ** 28 })));
  });

  it("depends on passphrase and salt", async () => {
    const parameters = { algorithm: "argon2id", ...floor, salt } as const;
    const keys = await Promise.all([
      derivePassphraseKey(passphrase, parameters),
      derivePassphraseKey(Buffer.from("correct horse battery stable"), parameters),
      derivePassphraseKey(passphrase, { ...parameters, salt: Buffer.alloc(16, 4) }),
    ]);
    expect(new Set(keys.map((key) => key.toString("hex"))).size).toBe(3);
  });

  it("refuses parameters and passphrases out of bounds before it computes anything", async () => {
    const huge = { algorithm: "argon2id", memoryKib: 2 ** 31, passes: 2 ** 31, parallelism: 1, salt } as const;
    await expectRejection("INVALID_ARGUMENT", derivePassphraseKey(passphrase, huge));
    const parameters = { algorithm: "argon2id", ...floor, salt } as const;
    await expectRejection("INVALID_ARGUMENT", derivePassphraseKey(Buffer.from("1234567"), parameters));
    await expectRejection("INVALID_ARGUMENT", derivePassphraseKey(Buffer.alloc(4_097), parameters));
  });
});
