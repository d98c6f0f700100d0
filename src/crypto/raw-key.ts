import { createSecretKey, type KeyObject } from "node:crypto";
import { KeysteadError } from "../errors.ts";

/** Bytes of a key of every symmetric algorithm that Keystead generates. */
export const rawKeyBytes = 32;

/** A secret key from its bytes. @throws KeysteadError `INVALID_ARGUMENT` when they are not 32. */
export function importRawKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== rawKeyBytes) throw new KeysteadError("INVALID_ARGUMENT", "key material must be exactly 32 bytes");
  return createSecretKey(bytes);
}
