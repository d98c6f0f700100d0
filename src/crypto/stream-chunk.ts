import { createSecretKey, type KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { aes256GcmCipher, nonceBytes, tagBytes } from "./aead-cipher.ts";
import { hkdf } from "./kdf.ts";

/** Plaintext bytes of every chunk of a stream but the last. */
export const streamChunkBytes = 65_536;

/** The same, sealed. */
export const sealedChunkBytes = streamChunkBytes + tagBytes;

/** Bytes of the key that a stream's chunks are sealed under. */
export const fileKeyBytes = 32;

const info = Buffer.from("keystead stream v1", "latin1");
const noAad = Buffer.alloc(0);
const chunkNumberOffset = 5;
const chunkNumberBytes = 6;

/**
 * Seals the chunks of one stream, one call after the other: ciphertext and tag of each.
 * @throws KeysteadError `INVALID_ARGUMENT` when the file key has another length
 */
export function chunkSealer(fileKey: Uint8Array): (bytes: Uint8Array, last: boolean) => readonly [sealed: Buffer, tag: Buffer] {
  const key = chunkKey(fileKey);
  const nonce = Buffer.alloc(nonceBytes);
  let chunk = 0;
  return (bytes, last) => {
    setNonce(nonce, chunk++, last);
    const encryption = aes256GcmCipher.encrypt(key, nonce, noAad);
    const sealed = encryption.update(bytes);
    encryption.final();
    return [sealed, encryption.getAuthTag()];
  };
}

/**
 * Opens the chunks of one stream, one call after the other. The function that it returns throws KeysteadError
 * `DECRYPTION_FAILED` for a chunk that is altered or out of its place.
 * @throws KeysteadError `INVALID_ARGUMENT` when the file key has another length
 */
export function chunkOpener(fileKey: Uint8Array): (sealed: Buffer, last: boolean) => Buffer {
  const key = chunkKey(fileKey);
  const nonce = Buffer.alloc(nonceBytes);
  let chunk = 0;
  return (sealed, last) => {
    // A last chunk is empty only when the whole is, so that every stream has one form.
    if (sealed.length < tagBytes || (sealed.length === tagBytes && chunk > 0)) throw streamDoesNotOpen();
    setNonce(nonce, chunk++, last);
    return openChunk(key, nonce, sealed);
  };
}

/** The error of a stream that does not open, whatever the reason is. */
export function streamDoesNotOpen(): KeysteadError {
  return new KeysteadError("DECRYPTION_FAILED", "stream does not open: check that it is complete and unchanged, and its key and context");
}

function openChunk(key: KeyObject, nonce: Buffer, sealed: Buffer): Buffer {
  const end = sealed.length - tagBytes;
  const decryption = aes256GcmCipher.decrypt(key, nonce, noAad, sealed.subarray(end));
  const plaintext = decryption.update(sealed.subarray(0, end));
  try {
    decryption.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw streamDoesNotOpen();
  }
}

function chunkKey(fileKey: Uint8Array): KeyObject {
  if (fileKey.length !== fileKeyBytes) throw new KeysteadError("INVALID_ARGUMENT", "file key must be exactly 32 bytes");
  const bytes = hkdf(fileKey, info, fileKeyBytes);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Nonce of a chunk: its number (u88, big-endian; 48 bits of it reach for 2^64 bytes), then 01 for the last chunk. */
function setNonce(nonce: Buffer, chunk: number, last: boolean): void {
  nonce.writeUIntBE(chunk, chunkNumberOffset, chunkNumberBytes);
  nonce.writeUInt8(last ? 1 : 0, nonceBytes - 1);
}
