import { decodeBase64 } from "../crypto/base64.ts";
import { KeysteadError } from "../errors.ts";

/** Bytes as JSON has them. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Bytes that a server answered. @throws KeysteadError `INTERNAL` for what is none */
export function fromBase64(text: string | undefined): Buffer {
  const bytes = text === undefined ? undefined : decodeBase64(text);
  if (bytes !== undefined) return bytes;
  throw new KeysteadError("INTERNAL", "the server's answer lacks bytes that this version expects; are both of one release?");
}
