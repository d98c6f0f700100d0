import { KeysteadError } from "../errors.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * The leading bits of some bytes in base32 (RFC 4648, section 6), lower case, without padding. The spare bits of the last
 * character are zero.
 *
 * @param bits - How many leading bits to write, 0 to 8 × the number of bytes.
 * @throws KeysteadError `INVALID_ARGUMENT` when there are fewer bits than that.
 */
export function encodeBase32(bytes: Uint8Array, bits: number): string {
  if (!Number.isInteger(bits) || bits < 0 || bits > bytes.length * 8) {
    throw new KeysteadError("INVALID_ARGUMENT", "number of base32 bits is out of range: pass at most 8 for each byte");
  }
  let text = "";
  for (let start = 0; start < bits; start += 5) {
    let index = 0;
    for (let bit = start; bit < start + 5; bit++) {
      const set = bit < bits ? ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1 : 0;
      index = (index << 1) | set;
    }
    text += alphabet.charAt(index);
  }
  return text;
}
