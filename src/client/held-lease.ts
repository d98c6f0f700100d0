import { createSecretKey, type KeyObject } from "node:crypto";
import type { KeysteadApi } from "../api/keystead-api.ts";
import { aes256GcmCipher, nonceBytes, openMessage, sealMessage } from "../crypto/aead-cipher.ts";
import { formatText, textPrefix } from "../crypto/ciphertext.ts";
import type { ClockAge } from "../crypto/clock-age.ts";
import { type CiphertextKind, type Context, createAadEncoder } from "../crypto/context.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { KeysteadError } from "../errors.ts";

/** A lease as a server gives it. */
export type LeaseAnswer = Awaited<ReturnType<KeysteadApi["leases"]["open"]>> & {
  readonly messages?: number;
  readonly bytes?: number;
};

const prefixBytes = 12;
const headBytes = prefixBytes + nonceBytes;
/** The part of a bound that is left when a further lease is fetched. */
const lowPart = 1 / 8;

/** A leased key in use: bounded by age, and for sealing by messages and bytes. Its bytes are kept where nothing prints them. */
export class HeldLease {
  readonly id: string;
  readonly use: "seal" | "open";
  /** Why it holds no more. */
  problem: KeysteadError | undefined;
  readonly #lease: Omit<LeaseAnswer, "aesKey">;
  readonly #key: KeyObject;
  readonly #age: ClockAge;
  readonly #textPrefix: string;
  readonly #encoders = new Map<CiphertextKind, (context: Context | undefined) => Buffer>();
  #affirmed: ClockAge;
  #messages = 0;
  #bytes = 0;

  /**
   * Wipes the bytes of the key that the answer has.
   * @param age since before it was asked for
   */
  constructor({ aesKey, ...lease }: LeaseAnswer, use: "seal" | "open", age: ClockAge) {
    this.id = lease.id;
    this.use = use;
    this.#lease = lease;
    this.#key = createSecretKey(aesKey);
    aesKey.fill(0);
    this.#age = age;
    this.#affirmed = age;
    this.#textPrefix = textPrefix(lease.key, lease.label);
  }

  /** Messages that were sealed. */
  get sealed(): number {
    return this.#messages;
  }

  /** Milliseconds since the server said last that it holds. */
  get unaffirmed(): number {
    return this.#affirmed.milliseconds();
  }

  /** True while it holds by all that is known, and is not too old. */
  get holds(): boolean {
    return this.problem === undefined && this.#age.milliseconds() < this.#lease.lifetime;
  }

  /** True when a further message of so many bytes is within all bounds. */
  hasRoom(bytes: number): boolean {
    const { messages = 0, bytes: most = 0 } = this.#lease;
    return this.holds && this.#messages < messages && this.#bytes + bytes <= most;
  }

  /** True when a further lease should be fetched. */
  get isLow(): boolean {
    const { messages = 0, bytes = 0, lifetime } = this.#lease;
    const limit = 1 - lowPart;
    return this.#messages >= messages * limit || this.#bytes >= bytes * limit || this.#age.milliseconds() >= lifetime * limit;
  }

  /** Counts from `age`, the start of the question that the server answered with yes. */
  affirm(age: ClockAge): void {
    this.#affirmed = age;
  }

  /** Everything that can fail comes before the count. @throws KeysteadError `INVALID_ARGUMENT` for a context that is none */
  seal(kind: CiphertextKind, plaintext: Uint8Array, context: Context | undefined, random: RandomSource): string {
    const aad = this.#aad(kind, context);
    const nonce = random.bytes(nonceBytes);
    const payload = sealMessage(aes256GcmCipher, this.#key, nonce, plaintext, aad, headBytes);
    payload.set(this.#lease.prefix);
    payload.set(nonce, prefixBytes);
    this.#messages += 1;
    this.#bytes += plaintext.length;
    return formatText(this.#textPrefix, payload);
  }

  /** The plaintext; `undefined` when the payload does not open. */
  open(kind: CiphertextKind, payload: Uint8Array, context: Context | undefined): Buffer | undefined {
    if (payload.length < headBytes) return undefined;
    const nonce = payload.subarray(prefixBytes, headBytes);
    return openMessage(aes256GcmCipher, this.#key, nonce, payload, this.#aad(kind, context), headBytes);
  }

  #aad(kind: CiphertextKind, context: Context | undefined): Buffer {
    let encode = this.#encoders.get(kind);
    if (encode === undefined) {
      encode = createAadEncoder(kind, this.#lease.keyId, this.#lease.label);
      this.#encoders.set(kind, encode);
    }
    return encode(context);
  }
}
