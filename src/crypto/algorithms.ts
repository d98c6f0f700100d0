import { KeysteadError } from "../errors.ts";
import { aes256GcmKc } from "./aes-256-gcm-kc.ts";
import { aes256Gcm } from "./aes-256-gcm.ts";
import type { Algorithm } from "./algorithm.ts";
import { chacha20Poly1305 } from "./chacha20-poly1305.ts";
import { ed25519 } from "./ed25519.ts";
import { hmacSha256 } from "./hmac-sha-256.ts";
import { xaes256Gcm } from "./xaes-256-gcm.ts";

export type { AeadAlgorithm, Algorithm, KeyUsage, MacAlgorithm, SignatureAlgorithm } from "./algorithm.ts";

/** Every algorithm that a key can have, by name. A new one is a new row. */
export const algorithms = {
  "XAES-256-GCM": xaes256Gcm,
  "AES-256-GCM": aes256Gcm,
  "ChaCha20-Poly1305": chacha20Poly1305,
  "AES-256-GCM-KC": aes256GcmKc,
  "HMAC-SHA-256": hmacSha256,
  Ed25519: ed25519,
} as const satisfies Record<string, Algorithm>;

/** The name of an algorithm. */
export type AlgorithmName = keyof typeof algorithms;

/** True for the name of an algorithm in the table; names are case-sensitive. */
export function isAlgorithmName(name: string): name is AlgorithmName {
  return Object.hasOwn(algorithms, name);
}

/**
 * The algorithm of that name.
 * @throws KeysteadError `UNKNOWN_ALGORITHM` with the names there are.
 */
export function findAlgorithm(name: string): Algorithm {
  if (isAlgorithmName(name)) return algorithms[name];
  throw new KeysteadError("UNKNOWN_ALGORITHM", `unknown algorithm: choose one of ${Object.keys(algorithms).join(", ")}`);
}
