import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import type { MacAlgorithm } from "./algorithm.ts";
import { rawKeyBytes } from "./raw-key.ts";

const maxKeyBytes = 512;

/** HMAC-SHA-256 (RFC 2104, FIPS 198-1). Generated keys have 32 bytes; imported ones may have 32 to 512. */
export const hmacSha256: MacAlgorithm = {
  kind: "mac",
  name: "HMAC-SHA-256",
  usages: ["mac", "blind-index"],
  materialFormat: "raw",
  generate: (random) => random.bytes(rawKeyBytes),
  importKey: (material) => {
    if (material.length < rawKeyBytes || material.length > maxKeyBytes) {
      throw new KeysteadError("INVALID_ARGUMENT", "key material must have 32 to 512 bytes");
    }
    return createSecretKey(material);
  },
  mac,
  verifyMac: (key, data, tag) => {
    const expected = mac(key, data);
    return tag.length === expected.length && timingSafeEqual(tag, expected);
  },
};

function mac(key: KeyObject, data: Uint8Array): Buffer {
  return createHmac("sha256", key).update(data).digest();
}
