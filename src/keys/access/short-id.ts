import { encodeBase32 } from "../../crypto/base32.ts";
import type { RandomSource } from "../../crypto/random.ts";

const pattern = /^[a-z2-7]{16}$/;

/** A random id of 80 bits that people can type. */
export function newShortId(random: RandomSource): string {
  return encodeBase32(random.bytes(10), 80);
}

/** True for what {@link newShortId} makes. */
export function isShortId(text: string): boolean {
  return pattern.test(text);
}
