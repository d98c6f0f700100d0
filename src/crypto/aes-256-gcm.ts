import { aes256GcmCipher } from "./aead-cipher.ts";
import type { AeadAlgorithm } from "./algorithm.ts";
import { RandomNonceAead } from "./random-nonce-aead.ts";
import { importRawKey, rawKeyBytes } from "./raw-key.ts";

/**
 * AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces, which limits a key version to 2^32 messages.
 * Payload: nonce(12), ciphertext, tag(16).
 */
export const aes256Gcm: AeadAlgorithm = {
  kind: "aead",
  name: "AES-256-GCM",
  usages: ["encrypt"],
  materialFormat: "raw",
  payloadOverhead: 28,
  messageLimit: 2 ** 32,
  generate: (random) => random.bytes(rawKeyBytes),
  importKey: importRawKey,
  createAead: (key, { random }) => new RandomNonceAead(aes256GcmCipher, key, random),
};
