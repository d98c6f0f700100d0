import { createSecretKey } from "node:crypto";
import { cmac, gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { systemClock } from "../../../src/clock.ts";
import type { Aead } from "../../../src/crypto/aead.ts";
import { type AlgorithmName, algorithms } from "../../../src/crypto/algorithms.ts";
import { RandomPool, type RandomSource, systemRandom } from "../../../src/crypto/random.ts";

/** Names of the algorithms that seal. */
export const aeadNames = ["XAES-256-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-GCM-KC"] as const satisfies AlgorithmName[];

/** One of {@link aeadNames}. */
export type AeadName = (typeof aeadNames)[number];

/** Bytes of the nonce that an algorithm's payload begins with. */
export const payloadNonceBytes: Readonly<Record<AeadName, number>> = {
  "XAES-256-GCM": 24,
  "AES-256-GCM": 12,
  "ChaCha20-Poly1305": 12,
  "AES-256-GCM-KC": 24,
};

/** The algorithm under a key. */
export function createAead(name: AeadName, key: Uint8Array, random: RandomSource = new RandomPool(systemRandom, systemClock)): Aead {
  return algorithms[name].createAead(createSecretKey(key), { random, clock: systemClock });
}

type Seal = (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array) => Buffer;

function xaesKey(key: Uint8Array, nonce: Uint8Array): Buffer {
  const prefix = nonce.subarray(0, 12);
  return Buffer.concat([1, 2].map((counter) => cmac(Buffer.concat([Uint8Array.of(0, counter, 0x58, 0), prefix]), key)));
}

/** The same payloads made by @noble, from the text of the format. */
export const nobleSeal: Readonly<Record<AeadName, Seal>> = {
  "XAES-256-GCM": (key, nonce, plaintext, aad) =>
    Buffer.concat([nonce, gcm(xaesKey(key, nonce), nonce.subarray(12), aad).encrypt(plaintext)]),
  "AES-256-GCM": (key, nonce, plaintext, aad) => Buffer.concat([nonce, gcm(key, nonce, aad).encrypt(plaintext)]),
  "ChaCha20-Poly1305": (key, nonce, plaintext, aad) => Buffer.concat([nonce, chacha20poly1305(key, nonce, aad).encrypt(plaintext)]),
  "AES-256-GCM-KC": (key, nonce, plaintext, aad) => {
    const derived = hkdf(sha256, key, nonce.subarray(0, 12), Buffer.from("keystead AES-256-GCM-KC v1"), 64);
    const sealed = gcm(derived.subarray(0, 32), nonce.subarray(12), aad).encrypt(plaintext);
    return Buffer.concat([nonce, derived.subarray(32), sealed]);
  },
};
