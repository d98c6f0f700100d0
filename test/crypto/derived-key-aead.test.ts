import { createCipheriv, createHash, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Aead } from "../../src/crypto/aead.ts";
import { aes256GcmKc } from "../../src/crypto/aes-256-gcm-kc.ts";
import { type DerivedKey, DerivedKeyAead, derivedKeyLimits } from "../../src/crypto/derived-key-aead.ts";
import { hkdf } from "../../src/crypto/kdf.ts";
import { ManualClock } from "./support/manual-clock.ts";
import { SeededRandom } from "./support/random.ts";

const plaintext = Buffer.from("plaintext");
const aad = Buffer.from("aad");

function countingAead(limits = derivedKeyLimits, seed = "derived"): { aead: Aead; clock: ManualClock; derived: string[] } {
  const derived: string[] = [];
  const derive = (prefix: Uint8Array): DerivedKey => {
    derived.push(Buffer.from(prefix).toString("hex"));
    return { key: createSecretKey(createHash("sha256").update(prefix).digest()), commitment: new Uint8Array(0) };
  };
  const clock = new ManualClock();
  return { aead: new DerivedKeyAead(derive, { random: new SeededRandom(seed), clock }, limits), clock, derived };
}

function prefixOf(sealed: Buffer): string {
  return sealed.toString("hex", 0, 12);
}

describe("sealing under derived keys", () => {
  it("keeps one prefix and derives once", () => {
    const { aead, derived } = countingAead();
    const sealed = Array.from({ length: 50 }, () => aead.seal(plaintext, aad));
    expect(new Set(sealed.map(prefixOf))).toEqual(new Set(derived));
    expect(derived).toHaveLength(1);
    expect(new Set(sealed.map((payload) => payload.toString("hex", 12, 24))).size).toBe(50);
  });

  it("renews the prefix after 2^20 messages, an hour, and keeps 1,024 keys for opening", () => {
    expect(derivedKeyLimits).toEqual({ seals: 2 ** 20, milliseconds: 3_600_000, openedKeys: 1_024 });
  });

  it("renews the prefix after the number of messages", () => {
    const { aead, derived } = countingAead({ ...derivedKeyLimits, seals: 10 });
    const prefixes = Array.from({ length: 31 }, () => prefixOf(aead.seal(plaintext, aad)));
    expect(derived).toHaveLength(4);
    expect(prefixes).toEqual(Array.from({ length: 31 }, (_, index) => derived[Math.floor(index / 10)]));
  });

  it.each<[string, (clock: ManualClock) => void, number]>([
    ["not before an hour", (clock) => clock.pass(3_599_999), 1],
    ["after an hour", (clock) => clock.pass(3_600_000), 2],
    ["when the wall clock says an hour, within its drift", (clock) => (clock.pass(3_599_500), (clock.wall += 500)), 2],
    ["when the steady clock says an hour, within its drift", (clock) => (clock.pass(3_599_500), (clock.steady += 500)), 2],
    ["when the wall clock jumps ahead", (clock) => (clock.wall += 5_000), 2],
    ["when the wall clock jumps back", (clock) => (clock.wall -= 5_000), 2],
  ])("renews the prefix %s", (_, move, prefixes) => {
    const { aead, clock, derived } = countingAead();
    aead.seal(plaintext, aad);
    move(clock);
    aead.seal(plaintext, aad);
    expect(derived).toHaveLength(prefixes);
  });
});

describe("opening under derived keys", () => {
  const { aead: sealer } = countingAead({ ...derivedKeyLimits, seals: 1 });
  const sealed = Array.from({ length: 6 }, () => sealer.seal(plaintext, aad));
  const [first, second, third, fourth] = sealed as [Buffer, Buffer, Buffer, Buffer];

  it("derives once for a prefix, and not at all for its own", () => {
    const { aead, derived } = countingAead(derivedKeyLimits, "another process");
    for (let time = 0; time < 5; time++) for (const payload of sealed) expect(aead.open(payload, aad)).toEqual(plaintext);
    expect(derived).toHaveLength(sealed.length);
    const own = aead.seal(plaintext, aad);
    expect(aead.open(own, aad)).toEqual(plaintext);
    expect(derived).toHaveLength(sealed.length + 1);
  });

  it("remembers keys only after a tag was right", () => {
    const { aead, derived } = countingAead();
    const forged = Buffer.from(first);
    forged.writeUInt8(forged.readUInt8(30) ^ 1, 30);
    for (let time = 0; time < 3; time++) expect(aead.open(forged, aad)).toBeUndefined();
    expect(derived).toHaveLength(3);
    aead.open(first, aad);
    aead.open(first, aad);
    expect(derived).toHaveLength(4);
    expect(aead.open(forged, aad)).toBeUndefined();
    expect(derived).toHaveLength(4);
  });

  it("keeps no memory of the caller's", () => {
    const { aead } = countingAead();
    const reused = Buffer.from(first);
    expect(aead.open(reused, aad)).toEqual(plaintext);
    reused.set(second);
    expect(aead.open(reused, aad)).toEqual(plaintext);
  });

  it("forgets the key that was not used for longest", () => {
    const { aead, derived } = countingAead({ ...derivedKeyLimits, openedKeys: 3 });
    for (const payload of [first, second, third, first, fourth]) aead.open(payload, aad);
    expect(derived).toHaveLength(4);
    for (const payload of [first, third, fourth]) aead.open(payload, aad);
    expect(derived).toHaveLength(4);
    aead.open(second, aad);
    expect(derived).toHaveLength(5);
  });

  it("does not lose keys to a flood of forged payloads", () => {
    const { aead, derived } = countingAead({ ...derivedKeyLimits, openedKeys: 3 });
    const random = new SeededRandom("flood");
    aead.open(first, aad);
    for (let time = 0; time < 100; time++) aead.open(random.bytes(60), aad);
    const before = derived.length;
    expect(aead.open(first, aad)).toEqual(plaintext);
    expect(derived).toHaveLength(before);
  });
});

describe("AES-256-GCM-KC", () => {
  const keyBytes = Buffer.alloc(32, 9);
  const aead = aes256GcmKc.createAead(createSecretKey(keyBytes), { random: new SeededRandom("kc"), clock: new ManualClock() });

  it("compares the commitment before it opens anything", () => {
    const nonce = new SeededRandom("nonce").bytes(24);
    const derived = hkdf(keyBytes, Buffer.from("keystead AES-256-GCM-KC v1"), 64, nonce.subarray(0, 12));
    const cipher = createCipheriv("aes-256-gcm", derived.subarray(0, 32), nonce.subarray(12)).setAAD(aad);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    const withCommitment = (commitment: Uint8Array): Buffer => Buffer.concat([nonce, commitment, ciphertext]);
    // Key, nonce, ciphertext, aad and tag all fit: only the commitment makes the difference.
    expect(aead.open(withCommitment(Buffer.alloc(32)), aad)).toBeUndefined();
    expect(aead.open(withCommitment(derived.subarray(32)), aad)).toEqual(plaintext);
    expect(aead.open(withCommitment(Buffer.alloc(32)), aad)).toBeUndefined();
  });
});
