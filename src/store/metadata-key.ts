import { createSecretKey, type KeyObject } from "node:crypto";
import { hkdf } from "../crypto/kdf.ts";

/**
 * The key that MACs a store's rows, derived from its store key: what {@link Store.create} and {@link Store.unlock} take.
 * Specified in `docs/format.md`, section Metadata.
 *
 * @param storeKey - The unwrapped store key, 32 bytes.
 */
export function deriveMetadataKey(storeKey: KeyObject | Uint8Array): KeyObject {
  const bytes = hkdf(storeKey, Buffer.from("keystead metadata v1", "latin1"), 32);
  try {
    return createSecretKey(bytes);
  } finally {
    bytes.fill(0);
  }
}
