/**
 * Bytes of a base64 text (RFC 4648, section 4); `undefined` unless it is exactly as an encoder writes it: padded, no white space, no
 * other alphabet, no spare bits set.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  // Node skips what it doesn't know; writing the bytes again finds that.
  return bytes.toString("base64") === text ? bytes : undefined;
}
