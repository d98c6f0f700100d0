/** What the last character before one or two `=` may be: its spare bits are not set. */
const lastCharacters = ["", "AEIMQUYcgkosw048", "AQgw"];

/**
 * Bytes of a base64 text (RFC 4648, section 4); `undefined` unless it is exactly as an encoder writes it: padded, no white space, no
 * other alphabet, no spare bits set.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  // Node skips what it doesn't know, so that bytes are missing then; the other alphabet it takes.
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== (text.length / 4) * 3 - padding || text.includes("-") || text.includes("_")) return undefined;
  return padding === 0 || lastCharacters[padding]?.includes(text.charAt(text.length - padding - 1)) === true ? bytes : undefined;
}
