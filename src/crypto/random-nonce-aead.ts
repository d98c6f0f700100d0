import type { KeyObject } from "node:crypto";
import type { Aead } from "./aead.ts";
import { type AeadCipher, nonceBytes, openMessage, sealMessage } from "./aead-cipher.ts";
import type { RandomSource } from "./random.ts";

/** A cipher under one key with a random 96-bit nonce for each message: payload is nonce(12), ciphertext, tag(16). */
export class RandomNonceAead implements Aead {
  readonly #cipher: AeadCipher;
  readonly #key: KeyObject;
  readonly #random: RandomSource;

  constructor(cipher: AeadCipher, key: KeyObject, random: RandomSource) {
    this.#cipher = cipher;
    this.#key = key;
    this.#random = random;
  }

  seal(plaintext: Uint8Array, aad: Uint8Array): Buffer {
    const nonce = this.#random.bytes(nonceBytes);
    const payload = sealMessage(this.#cipher, this.#key, nonce, plaintext, aad, nonceBytes);
    payload.set(nonce);
    return payload;
  }

  open(payload: Uint8Array, aad: Uint8Array): Buffer | undefined {
    if (payload.length < nonceBytes) return undefined;
    return openMessage(this.#cipher, this.#key, payload.subarray(0, nonceBytes), payload, aad, nonceBytes);
  }
}
