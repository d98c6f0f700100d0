import { createSecretKey, type KeyObject } from "node:crypto";
import type { AeadAlgorithm } from "./algorithm.ts";
import { type DeriveKey, DerivedKeyAead } from "./derived-key-aead.ts";
import { hkdf } from "./kdf.ts";
import { importRawKey, rawKeyBytes } from "./raw-key.ts";

const info = Buffer.from("keystead AES-256-GCM-KC v1", "latin1");
const commitmentBytes = 32;

/**
 * AES-256-GCM with key commitment: a payload opens under one key only, even for a person who chose the keys. The algorithm
 * for keys that Keystead did not generate. Payload: nonce(24), commitment(32), ciphertext, tag(16).
 */
export const aes256GcmKc: AeadAlgorithm = {
  kind: "aead",
  name: "AES-256-GCM-KC",
  usages: ["encrypt"],
  materialFormat: "raw",
  payloadOverhead: 72,
  messageLimit: undefined,
  generate: (random) => random.bytes(rawKeyBytes),
  importKey: importRawKey,
  createAead: (key, options) => new DerivedKeyAead(keyDerivation(key), options),
};

function keyDerivation(key: KeyObject): DeriveKey {
  return (prefix) => {
    const derived = hkdf(key, info, rawKeyBytes + commitmentBytes, prefix);
    const aesKey = createSecretKey(derived.subarray(0, rawKeyBytes));
    const commitment = Buffer.from(derived.subarray(rawKeyBytes));
    derived.fill(0);
    return { key: aesKey, commitment };
  };
}
