import type { AlgorithmName } from "../index.ts";

/** Algorithms that an encrypt key can have, known without the engine: help and completion load nothing of it. */
export const encryptAlgorithmNames = [
  "XAES-256-GCM",
  "AES-256-GCM",
  "ChaCha20-Poly1305",
  "AES-256-GCM-KC",
] as const satisfies readonly AlgorithmName[];

/** Every algorithm that a key can have. */
export const algorithmNames = [...encryptAlgorithmNames, "HMAC-SHA-256", "Ed25519"] as const satisfies readonly AlgorithmName[];
