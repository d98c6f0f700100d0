import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { maxPayloadBytes } from "./limits.ts";

/** Bytes of the authentication tag. Shorter tags are never written and never accepted. */
export const tagBytes = 16;

/** Bytes of the nonce that the ciphers themselves take. */
export const nonceBytes = 12;

interface Encryption {
  update(data: Uint8Array): Buffer;
  final(): Buffer;
  getAuthTag(): Buffer;
}

interface Decryption {
  update(data: Uint8Array): Buffer;
  final(): Buffer;
}

/** A cipher with a 96-bit nonce and a 128-bit tag, ready for one message. */
export interface AeadCipher {
  encrypt(key: KeyObject, nonce: Uint8Array, aad: Uint8Array): Encryption;
  decrypt(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): Decryption;
}

const options = { authTagLength: tagBytes };

/** AES-256-GCM (NIST SP 800-38D). */
export const aes256GcmCipher: AeadCipher = {
  encrypt: (key, nonce, aad) => createCipheriv("aes-256-gcm", key, nonce, options).setAAD(aad),
  decrypt: (key, nonce, aad, tag) => createDecipheriv("aes-256-gcm", key, nonce, options).setAAD(aad).setAuthTag(tag),
};

// Only CCM reads the length, but the types ask for one.
const anyLength = { plaintextLength: 0 };

/** ChaCha20-Poly1305 (RFC 8439). */
export const chacha20Poly1305Cipher: AeadCipher = {
  encrypt: (key, nonce, aad) => createCipheriv("chacha20-poly1305", key, nonce, options).setAAD(aad, anyLength),
  decrypt: (key, nonce, aad, tag) => createDecipheriv("chacha20-poly1305", key, nonce, options).setAAD(aad, anyLength).setAuthTag(tag),
};

/**
 * Encrypts one message into a new payload: `head` bytes left for the caller to fill, ciphertext, tag.
 * @throws KeysteadError `INVALID_ARGUMENT` when that would be longer than a payload may be.
 */
export function sealMessage(
  cipher: AeadCipher,
  key: KeyObject,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
  head: number,
): Buffer {
  const length = head + plaintext.length + tagBytes;
  if (length > maxPayloadBytes)
    throw new KeysteadError("INVALID_ARGUMENT", "plaintext is too long for one ciphertext: seal it as a stream");
  const encryption = cipher.encrypt(key, nonce, aad);
  const payload = Buffer.allocUnsafe(length);
  payload.set(encryption.update(plaintext), head);
  encryption.final();
  payload.set(encryption.getAuthTag(), length - tagBytes);
  return payload;
}

/** Opens ciphertext and tag that start `head` bytes into a payload; `undefined` when they don't. */
export function openMessage(
  cipher: AeadCipher,
  key: KeyObject,
  nonce: Uint8Array,
  payload: Uint8Array,
  aad: Uint8Array,
  head: number,
): Buffer | undefined {
  const end = payload.length - tagBytes;
  if (end < head || payload.length > maxPayloadBytes) return undefined;
  const decryption = cipher.decrypt(key, nonce, aad, payload.subarray(end));
  const plaintext = decryption.update(payload.subarray(head, end));
  try {
    decryption.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
