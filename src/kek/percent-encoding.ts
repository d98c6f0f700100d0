import { Buffer } from "node:buffer";

const unreserved = /[A-Za-z0-9._~-]/;
// RFC 3986: unreserved, sub-delims, ":" "@" "/", or one escape.
const pathText = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/;

/** One spelling for each text: escapes of unreserved characters resolved, all others upper case. Undefined when malformed (RFC 3986, 6.2.2). */
export function canonicalEscapes(text: string): string | undefined {
  if (!pathText.test(text) || decodeEscapes(text) === undefined) return undefined;
  return text.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return unreserved.test(character) ? character : escape.toUpperCase();
  });
}

/** The text that an escaped component stands for. Undefined when malformed, not UTF-8, or holding control characters. */
export function decodeEscapes(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return /\p{Cc}/u.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** Escapes everything but unreserved characters, and `/` `:`, which are common in paths and mean nothing in a query. */
export function encodeComponent(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    const plain = byte < 0x80 && (unreserved.test(character) || character === "/" || character === ":");
    encoded += plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
