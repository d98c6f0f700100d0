import { viewBytes } from "./text.ts";

/** Lower-case hexadecimal. */
export function encodeHex(bytes: Uint8Array): string {
  return viewBytes(bytes).toString("hex");
}

/** Bytes of a hexadecimal text; `undefined` unless it is exactly what {@link encodeHex} writes: lower case, an even number of digits. */
export function decodeHex(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "hex");
  return bytes.toString("hex") === text ? bytes : undefined;
}
