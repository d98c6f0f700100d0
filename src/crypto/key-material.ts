import { createPublicKey, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import type { Algorithm } from "./algorithm.ts";
import { encodeBase32 } from "./base32.ts";
import { encodeFields } from "./encode.ts";
import { hkdf } from "./kdf.ts";
import type { RandomSource } from "./random.ts";

const fingerprintBits = 30;

/** The key of one key version. Nothing prints or serialises it. */
export class KeyMaterial {
  readonly #algorithm: Algorithm;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject | undefined;

  private constructor(algorithm: Algorithm, key: KeyObject) {
    this.#algorithm = algorithm;
    this.#key = key;
    this.#publicKey = algorithm.materialFormat === "pkcs8" ? createPublicKey(key) : undefined;
  }

  /** A new key. */
  static generate(algorithm: Algorithm, random: RandomSource): KeyMaterial {
    const material = algorithm.generate(random);
    try {
      return KeyMaterial.import(algorithm, material);
    } finally {
      material.fill(0);
    }
  }

  /**
   * A key from its bytes, in the algorithm's material format.
   * @throws KeysteadError `INVALID_ARGUMENT` when they are no key of this algorithm.
   */
  static import(algorithm: Algorithm, material: Uint8Array): KeyMaterial {
    return new KeyMaterial(algorithm, algorithm.importKey(material));
  }

  get algorithm(): Algorithm {
    return this.#algorithm;
  }

  /** The secret or private key. */
  get key(): KeyObject {
    return this.#key;
  }

  /** The public key of a key pair. */
  get publicKey(): KeyObject | undefined {
    return this.#publicKey;
  }

  /** SPKI DER of the public key of a key pair. */
  publicKeyDer(): Buffer | undefined {
    return this.#publicKey?.export({ type: "spki", format: "der" });
  }

  /** A copy of the key's bytes in the algorithm's material format: only to seal it. The caller wipes it. */
  exportBytes(): Buffer {
    return this.#publicKey === undefined ? this.#key.export() : this.#key.export({ type: "pkcs8", format: "der" });
  }

  /** Six base32 characters that tell this key from any other with the same version number. */
  fingerprint(keyId: string, version: number): string {
    const publicKey = this.publicKeyDer();
    const derived = hkdf(publicKey ?? this.#key, encodeFields("keystead fingerprint v1", keyId, version), 4);
    return encodeBase32(derived, fingerprintBits);
  }

  toString(): string {
    return `[KeyMaterial ${this.#algorithm.name}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
