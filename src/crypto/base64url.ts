import { viewBytes } from "./text.ts";

/** Base64url without padding (RFC 4648, section 5). */
export function encodeBase64url(bytes: Uint8Array): string {
  return viewBytes(bytes).toString("base64url");
}

/**
 * Bytes of a base64url text; `undefined` unless it is exactly what {@link encodeBase64url} writes: no other alphabet, no
 * padding, no white space, no spare bits set.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  // Node skips what it doesn't know; writing the bytes again finds that, and is faster than looking at each character.
  return bytes.toString("base64url") === text ? bytes : undefined;
}
