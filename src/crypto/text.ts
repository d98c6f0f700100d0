import { isUtf8 } from "node:buffer";
import { KeysteadError } from "../errors.ts";

/**
 * UTF-8 bytes of a text. Nothing is normalised.
 *
 * @param what - Names the text in the error, for example `"plaintext"`.
 * @throws KeysteadError `INVALID_ARGUMENT` when the text has a lone surrogate: UTF-8 can't carry it, and replacing it would lose data.
 */
export function encodeUtf8(text: string, what: string): Buffer {
  if (!text.isWellFormed()) {
    throw new KeysteadError("INVALID_ARGUMENT", `${what} contains a lone surrogate: pass well-formed text, or bytes`);
  }
  return Buffer.from(text, "utf8");
}

/** The text that UTF-8 bytes spell, a leading byte order mark included; `undefined` when they are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? viewBytes(bytes).toString("utf8") : undefined;
}

/** The same memory as a `Buffer`. */
export function viewBytes(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
