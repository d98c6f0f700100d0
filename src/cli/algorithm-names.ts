import type { AlgorithmName, HashName } from "../index.ts";

/** Algorithms that an encrypt key can have, known without the engine: help and completion load nothing of it. */
export const encryptAlgorithmNames = [
  "XAES-256-GCM",
  "AES-256-GCM",
  "ChaCha20-Poly1305",
  "AES-256-GCM-KC",
] as const satisfies readonly AlgorithmName[];

/** Every algorithm that a key can have. */
export const algorithmNames = [...encryptAlgorithmNames, "HMAC-SHA-256", "Ed25519"] as const satisfies readonly AlgorithmName[];

/** Every hash function. */
export const hashAlgorithmNames = [
  "SHA-256",
  "SHA-384",
  "SHA-512",
  "SHA3-256",
  "SHA3-384",
  "SHA3-512",
] as const satisfies readonly HashName[];
