import { createSecretKey, type KeyObject } from "node:crypto";
import type { Clock } from "../clock.ts";
import { algorithms, findAlgorithm } from "../crypto/algorithms.ts";
import { encodeFields } from "../crypto/encode.ts";
import { KeyMaterial } from "../crypto/key-material.ts";
import type { RandomSource } from "../crypto/random.ts";
import { KeysteadError } from "../errors.ts";

const keysetKeyBytes = 32;

/** What a version's sealed material is bound to: rows swapped in the database do not open. */
export interface MaterialBinding {
  readonly keyId: string;
  readonly version: number;
  /** Sorted, joined by commas. */
  readonly usages: string;
  readonly algorithm: string;
  readonly format: string;
}

/** The random 256-bit key of one key, wrapped by KEKs, that seals the key's versions. Nothing prints or serialises it. */
export class KeysetKey {
  readonly #key: KeyObject;
  readonly #random: RandomSource;
  readonly #clock: Clock;

  /** Copies the bytes; wiping them is the caller's. */
  constructor(bytes: Uint8Array, random: RandomSource, clock: Clock) {
    this.#key = createSecretKey(bytes);
    this.#random = random;
    this.#clock = clock;
  }

  /** A new one. */
  static generate(random: RandomSource, clock: Clock): KeysetKey {
    const bytes = random.bytes(keysetKeyBytes);
    try {
      return new KeysetKey(bytes, random, clock);
    } finally {
      bytes.fill(0);
    }
  }

  /** Gives the bytes to `use` for wrapping, and overwrites them afterwards. */
  async withBytes<T>(use: (bytes: Uint8Array) => Promise<T>): Promise<T> {
    const bytes = this.#key.export();
    try {
      return await use(bytes);
    } finally {
      bytes.fill(0);
    }
  }

  /** Seals version material (XAES-256-GCM, AAD as in docs/format.md, "Keys at rest"). */
  seal(material: Uint8Array, binding: MaterialBinding): Buffer {
    return this.#aead().seal(material, bindingAad(binding));
  }

  /** @throws KeysteadError `STORE_TAMPERED` when the material doesn't open. */
  open(sealed: Uint8Array, binding: MaterialBinding): KeyMaterial {
    const bytes = this.#aead().open(sealed, bindingAad(binding));
    if (bytes === undefined) {
      throw new KeysteadError(
        "STORE_TAMPERED",
        `the sealed material of version ${String(binding.version)} of key ${binding.keyId} does not open; restore the store from a backup`,
      );
    }
    try {
      return KeyMaterial.import(findAlgorithm(binding.algorithm), bytes);
    } finally {
      bytes.fill(0);
    }
  }

  #aead() {
    return algorithms["XAES-256-GCM"].createAead(this.#key, { random: this.#random, clock: this.#clock });
  }
}

function bindingAad(binding: MaterialBinding): Buffer {
  return encodeFields("ks1-version", binding.keyId, binding.version, binding.usages, binding.algorithm, binding.format);
}
