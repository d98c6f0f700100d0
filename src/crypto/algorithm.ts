import type { KeyObject } from "node:crypto";
import type { Aead, AeadOptions } from "./aead.ts";
import type { RandomSource } from "./random.ts";

/** What a key may be used for. */
export type KeyUsage = "encrypt" | "blind-index" | "mac" | "sign" | "agree";

/** What every algorithm says about itself and its keys. */
interface AlgorithmBase {
  readonly name: string;
  readonly usages: readonly KeyUsage[];
  /** How key material is written down: bare bytes, or PKCS#8 DER of a private key. */
  readonly materialFormat: "raw" | "pkcs8";
  /** New key material, in the material format. */
  generate(random: RandomSource): Buffer;
  /** @throws KeysteadError `INVALID_ARGUMENT` when the bytes are no key of this algorithm. */
  importKey(material: Uint8Array): KeyObject;
}

/** Authenticated encryption. */
export interface AeadAlgorithm extends AlgorithmBase {
  readonly kind: "aead";
  readonly usages: readonly ["encrypt"];
  readonly materialFormat: "raw";
  /** Bytes that a payload has more than its plaintext. */
  readonly payloadOverhead: number;
  /** Messages that one key version may ever seal; `undefined` where the nonce is long enough not to count. */
  readonly messageLimit: number | undefined;
  createAead(key: KeyObject, options: AeadOptions): Aead;
}

/** Message authentication. */
export interface MacAlgorithm extends AlgorithmBase {
  readonly kind: "mac";
  readonly usages: readonly ["mac", "blind-index"];
  readonly materialFormat: "raw";
  mac(key: KeyObject, data: Uint8Array): Buffer;
  /** Compares in constant time; false for a tag of another length. */
  verifyMac(key: KeyObject, data: Uint8Array, tag: Uint8Array): boolean;
}

/** Digital signatures. */
export interface SignatureAlgorithm extends AlgorithmBase {
  readonly kind: "signature";
  readonly usages: readonly ["sign"];
  readonly materialFormat: "pkcs8";
  sign(key: KeyObject, data: Uint8Array): Buffer;
  /** False for anything that is not this key's signature over the data. Never throws. */
  verify(publicKey: KeyObject, data: Uint8Array, signature: Uint8Array): boolean;
}

/** An algorithm that a key can have. */
export type Algorithm = AeadAlgorithm | MacAlgorithm | SignatureAlgorithm;
