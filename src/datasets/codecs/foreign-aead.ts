import { createDecipheriv } from "node:crypto";
import type { SecretBytes } from "../../crypto/secret-bytes.ts";

/** Bytes of the tag. Shorter ones are never accepted. */
export const foreignTagBytes = 16;

interface Decryption {
  setAuthTag(tag: Uint8Array): unknown;
  setAAD(aad: Uint8Array, options: { readonly plaintextLength: number }): unknown;
  update(data: Uint8Array): Buffer;
  final(): Buffer;
}

interface ForeignCipher {
  readonly keyBytes: number;
  readonly shortestNonce: number;
  readonly longestNonce: number;
  readonly decipher: (key: Uint8Array, nonce: Uint8Array) => Decryption;
}

const options = { authTagLength: foreignTagBytes };
const gcmNonces = { shortestNonce: 8, longestNonce: 32 };

/** Ciphers that foreign systems seal with: GCM as in NIST SP 800-38D, ChaCha20-Poly1305 as in RFC 8439. */
const ciphers = {
  "aes-128-gcm": { keyBytes: 16, ...gcmNonces, decipher: (key, nonce) => createDecipheriv("aes-128-gcm", key, nonce, options) },
  "aes-192-gcm": { keyBytes: 24, ...gcmNonces, decipher: (key, nonce) => createDecipheriv("aes-192-gcm", key, nonce, options) },
  "aes-256-gcm": { keyBytes: 32, ...gcmNonces, decipher: (key, nonce) => createDecipheriv("aes-256-gcm", key, nonce, options) },
  "chacha20-poly1305": {
    keyBytes: 32,
    shortestNonce: 12,
    longestNonce: 12,
    decipher: (key, nonce) => createDecipheriv("chacha20-poly1305", key, nonce, options),
  },
} as const satisfies Readonly<Record<string, ForeignCipher>>;

/** Name of a cipher. */
export type ForeignAlgorithm = keyof typeof ciphers;

export const foreignAlgorithms: Readonly<Record<ForeignAlgorithm, ForeignCipher>> = ciphers;

/** A ciphertext, taken apart. */
export interface ForeignMessage {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

/** The plaintext under the first of the keys that opens it; `undefined` when none does. */
export function openForeign(
  algorithm: ForeignAlgorithm,
  keys: readonly SecretBytes[],
  message: ForeignMessage,
  aad: Uint8Array,
): Buffer | undefined {
  for (const key of keys) {
    const plaintext = key.use((bytes) => openUnder(foreignAlgorithms[algorithm], bytes, message, aad));
    if (plaintext !== undefined) return plaintext;
  }
  return undefined;
}

function openUnder(
  cipher: ForeignCipher,
  key: Uint8Array,
  { nonce, ciphertext, tag }: ForeignMessage,
  aad: Uint8Array,
): Buffer | undefined {
  const decryption = cipher.decipher(key, nonce);
  decryption.setAAD(aad, { plaintextLength: ciphertext.length });
  decryption.setAuthTag(tag);
  const plaintext = decryption.update(ciphertext);
  try {
    decryption.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
