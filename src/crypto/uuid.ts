import type { RandomSource } from "./random.ts";

const variants = "89ab";

/** A random UUID (RFC 9562, version 4), lower case. */
export function randomUuid(random: RandomSource): string {
  return uuidOf(random.bytes(16).toString("hex"));
}

/** The UUID of 16 random bytes that are 32 hexadecimal digits, lower case. */
export function uuidOf(hex: string): string {
  const variant = variants.charAt(Number.parseInt(hex.charAt(16), 16) % variants.length);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
