import { maxKeyNameLength } from "../../crypto/limits.ts";

/** Base64url characters of some bytes. */
function characters(bytes: number): number {
  return Math.ceil((bytes * 4) / 3);
}

/**
 * Characters that every ciphertext of a value of that many bytes fits into, whatever its key's algorithm adds and however often that key is
 * rotated.
 */
export function sufficientSealedLength(valueBytes: number, keyNameLength = maxKeyNameLength): number {
  return "ks1::2147483647-abcdef:".length + keyNameLength + characters(72 + 1 + valueBytes);
}

/** Characters that every token of an index fits into, for generations below 10,000. */
export const sufficientTokenLength = "9999.".length + characters(32);
