import { maxKeyNameLength } from "../../crypto/limits.ts";

/** Base64url characters of some bytes. */
function characters(bytes: number): number {
  return Math.ceil((bytes * 4) / 3);
}

/** Characters of the shortest ciphertext of a value of that many bytes: the shortest key name, nonce and tag. */
export function leastSealedLength(valueBytes: number): number {
  return "ks1:k:1-abcdef:".length + characters(28 + valueBytes);
}

/** Characters that every ciphertext of a value of that many bytes fits into, whatever its key is called and its algorithm adds. */
export function sufficientSealedLength(valueBytes: number): number {
  return "ks1::2147483647-abcdef:".length + maxKeyNameLength + characters(72 + 1 + valueBytes);
}

/** Characters that every token of an index fits into, for generations below 10,000. */
export const sufficientTokenLength = "9999.".length + characters(32);
