import { type KeyObject, timingSafeEqual } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Aead, AeadOptions } from "./aead.ts";
import { aes256GcmCipher, nonceBytes, openMessage, sealMessage } from "./aead-cipher.ts";
import { ClockAge } from "./clock-age.ts";
import type { RandomSource } from "./random.ts";
import { RecentKeys, samePrefix } from "./recent-keys.ts";

const prefixBytes = 12;
const headBytes = prefixBytes + nonceBytes;

/** How long derived keys are kept. */
export interface DerivedKeyLimits {
  /** Messages sealed with one nonce prefix. */
  readonly seals: number;
  /** Age that a nonce prefix may reach, on whichever clock says more. */
  readonly milliseconds: number;
  /** Keys remembered for opening. */
  readonly openedKeys: number;
}

/** 2^20 messages, an hour, 1,024 keys. With random second halves of nonces a prefix repeats one with a chance of at most 2^-57. */
export const derivedKeyLimits: DerivedKeyLimits = { seals: 2 ** 20, milliseconds: 3_600_000, openedKeys: 1_024 };

/** What an algorithm derives from its key and the first 12 bytes of a nonce. */
export interface DerivedKey {
  readonly key: KeyObject;
  /** Written after the nonce, and compared before anything is opened. Of one length for all keys; may be empty. */
  readonly commitment: Uint8Array;
}

/** Derives the key for the nonces that begin with a prefix of 12 bytes. */
export type DeriveKey = (prefix: Uint8Array) => DerivedKey;

interface SealingKey extends DerivedKey {
  readonly prefix: Buffer;
  readonly age: ClockAge;
  sealsLeft: number;
}

/**
 * AES-256-GCM under keys derived from the first half of a 24-byte nonce: payload is nonce(24), commitment, ciphertext, tag(16).
 *
 * The first half is drawn once for up to 2^20 messages or an hour, so that a message costs one plain AES-256-GCM call; the
 * second half is random for each message.
 */
export class DerivedKeyAead implements Aead {
  readonly #derive: DeriveKey;
  readonly #random: RandomSource;
  readonly #clock: Clock;
  readonly #limits: DerivedKeyLimits;
  readonly #opened: RecentKeys<DerivedKey>;
  #sealing: SealingKey | undefined;

  constructor(derive: DeriveKey, options: AeadOptions, limits: DerivedKeyLimits = derivedKeyLimits) {
    this.#derive = derive;
    this.#random = options.random;
    this.#clock = options.clock;
    this.#limits = limits;
    this.#opened = new RecentKeys(limits.openedKeys);
  }

  seal(plaintext: Uint8Array, aad: Uint8Array): Buffer {
    const { prefix, key, commitment } = this.#sealingKey();
    const nonce = this.#random.bytes(nonceBytes);
    const payload = sealMessage(aes256GcmCipher, key, nonce, plaintext, aad, headBytes + commitment.length);
    payload.set(prefix);
    payload.set(nonce, prefixBytes);
    if (commitment.length > 0) payload.set(commitment, headBytes);
    return payload;
  }

  open(payload: Uint8Array, aad: Uint8Array): Buffer | undefined {
    if (payload.length < headBytes) return undefined;
    const prefix = payload.subarray(0, prefixBytes);
    const known = this.#knownKey(prefix);
    const { key, commitment } = known ?? this.#derive(prefix);
    const head = headBytes + commitment.length;
    if (payload.length < head || !equalBytes(commitment, payload.subarray(headBytes, head))) return undefined;
    const plaintext = openMessage(aes256GcmCipher, key, payload.subarray(prefixBytes, headBytes), payload, aad, head);
    // Forged payloads must not push out the keys of real ones.
    if (known === undefined && plaintext !== undefined) this.#opened.admit(prefix, { key, commitment });
    return plaintext;
  }

  #knownKey(prefix: Uint8Array): DerivedKey | undefined {
    const sealing = this.#sealing;
    return sealing !== undefined && samePrefix(sealing.prefix, prefix) ? sealing : this.#opened.get(prefix);
  }

  #sealingKey(): SealingKey {
    let sealing = this.#sealing;
    if (sealing === undefined || sealing.sealsLeft === 0 || sealing.age.milliseconds() >= this.#limits.milliseconds) {
      const prefix = this.#random.bytes(prefixBytes);
      const age = new ClockAge(this.#clock);
      sealing = { ...this.#derive(prefix), prefix, age, sealsLeft: this.#limits.seals };
      this.#sealing = sealing;
    }
    sealing.sealsLeft--;
    return sealing;
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === 0 || timingSafeEqual(a, b);
}
