import { createHmac, type KeyObject } from "node:crypto";
import { types } from "node:util";
import { KeysteadError } from "../errors.ts";

const hashBytes = 32;
const maxLength = 255 * hashBytes;
const noSalt = Buffer.alloc(0);

/**
 * HKDF-SHA-256 (RFC 5869). Written out on HMAC because Node's own refuses an info of more than 1,024 bytes, which the info
 * of an index key may have.
 *
 * @param key - Input keying material: a secret key, or its bytes.
 * @param length - Bytes to derive, 1 to 8,160.
 * @throws KeysteadError `INVALID_ARGUMENT` for another length.
 */
export function hkdf(key: KeyObject | Uint8Array, info: Uint8Array, length: number, salt: Uint8Array = noSalt): Buffer {
  if (!Number.isInteger(length) || length < 1 || length > maxLength) {
    throw new KeysteadError("INVALID_ARGUMENT", `HKDF derives 1 to ${maxLength.toString()} bytes: ask for a length in that range`);
  }
  const pseudorandomKey = extract(key, salt);
  const derived = Buffer.alloc(Math.ceil(length / hashBytes) * hashBytes);
  let block = noSalt;
  for (let counter = 1; counter * hashBytes <= derived.length; counter++) {
    block = createHmac("sha256", pseudorandomKey).update(block).update(info).update(Uint8Array.of(counter)).digest();
    derived.set(block, (counter - 1) * hashBytes);
  }
  block.fill(0);
  pseudorandomKey.fill(0);
  return derived.subarray(0, length);
}

function extract(key: KeyObject | Uint8Array, salt: Uint8Array): Buffer {
  if (!types.isKeyObject(key)) return createHmac("sha256", salt).update(key).digest();
  const bytes = key.export();
  try {
    return createHmac("sha256", salt).update(bytes).digest();
  } finally {
    bytes.fill(0);
  }
}
