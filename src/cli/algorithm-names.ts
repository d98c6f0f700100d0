import type { AlgorithmName } from "../index.ts";

/** Every algorithm that a key can have, known without the engine: help and completion load nothing of it. */
export const algorithmNames = [
  "XAES-256-GCM",
  "AES-256-GCM",
  "ChaCha20-Poly1305",
  "AES-256-GCM-KC",
  "HMAC-SHA-256",
  "Ed25519",
] as const satisfies readonly AlgorithmName[];
