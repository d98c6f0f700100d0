import { chacha20Poly1305Cipher } from "./aead-cipher.ts";
import type { AeadAlgorithm } from "./algorithm.ts";
import { RandomNonceAead } from "./random-nonce-aead.ts";
import { importRawKey, rawKeyBytes } from "./raw-key.ts";

/**
 * ChaCha20-Poly1305 (RFC 8439) with random 96-bit nonces, which limits a key version to 2^32 messages.
 * Payload: nonce(12), ciphertext, tag(16).
 */
export const chacha20Poly1305: AeadAlgorithm = {
  kind: "aead",
  name: "ChaCha20-Poly1305",
  usages: ["encrypt"],
  materialFormat: "raw",
  payloadOverhead: 28,
  messageLimit: 2 ** 32,
  generate: (random) => random.bytes(rawKeyBytes),
  importKey: importRawKey,
  createAead: (key, { random }) => new RandomNonceAead(chacha20Poly1305Cipher, key, random),
};
