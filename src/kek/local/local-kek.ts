import type { KeyObject } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { Aead } from "../../crypto/aead.ts";
import { encodeFields } from "../../crypto/encode.ts";
import { encodeHex } from "../../crypto/hex.ts";
import { hkdf } from "../../crypto/kdf.ts";
import type { RandomSource } from "../../crypto/random.ts";
import { xaes256Gcm } from "../../crypto/xaes-256-gcm.ts";
import { KeysteadError } from "../../errors.ts";
import type { DerivesFromPassphrase, Kek, KekCallOptions, WrapContext, WrappedKey } from "../kek.ts";

const checkValueLength = 16;

/** What a {@link LocalKek} is made of. */
export interface LocalKekParts {
  /** Name of the master key. */
  readonly name: string;
  /** A secret key of 32 bytes. */
  readonly masterKey: KeyObject;
  readonly random: RandomSource;
  readonly clock: Clock;
}

/** `NAME:<check value>`: says which master key it is, and nothing about its bytes. */
function kekIdOf(name: string, masterKey: KeyObject): string {
  return `${name}:${encodeHex(hkdf(masterKey, encodeFields("keystead check v1", name), checkValueLength))}`;
}

/** Enough of a check value for a person to tell two keys apart. */
function shorten(kekId: string): string {
  const separator = kekId.lastIndexOf(":") + 1;
  return kekId.slice(0, separator + 8);
}

function wrapAad({ storeId, subject, kekUri }: WrapContext): Buffer {
  return encodeFields("ks1-wrap", storeId, subject, kekUri);
}

/** A master key in this process. Wraps with XAES-256-GCM; store, subject and KEK URI are authenticated. */
export class LocalKek implements Kek {
  readonly kekId: string;
  #aead: Aead | undefined;

  constructor({ name, masterKey, random, clock }: LocalKekParts) {
    this.kekId = kekIdOf(name, masterKey);
    this.#aead = xaes256Gcm.createAead(masterKey, { random, clock });
  }

  async wrapKey(key: Uint8Array, { context, signal }: KekCallOptions): Promise<WrappedKey> {
    return { kekId: this.kekId, bytes: this.#ready(signal).seal(key, wrapAad(context)) };
  }

  /**
   * @throws KeysteadError `WRONG_MASTER_KEY` when another master key wrapped, before anything is tried; `KEK_FAILED` when the
   * wrap was altered or belongs elsewhere
   */
  async unwrapKey({ kekId, bytes }: WrappedKey, { context, signal }: KekCallOptions): Promise<Uint8Array> {
    const aead = this.#ready(signal);
    if (kekId !== this.kekId) {
      const problem = `this was wrapped by the master key ${shorten(kekId)}…, and ${shorten(this.kekId)}… is configured`;
      throw new KeysteadError("WRONG_MASTER_KEY", `${problem}; configure the master key that wrapped`);
    }
    const key = aead.open(bytes, wrapAad(context));
    if (key === undefined) {
      throw new KeysteadError(
        "KEK_FAILED",
        "a wrapped key does not open: it was altered, or belongs to another store or key; restore it from a backup",
      );
    }
    return key;
  }

  async close(): Promise<void> {
    this.#aead = undefined;
  }

  #ready(signal: AbortSignal | undefined): Aead {
    signal?.throwIfAborted();
    if (this.#aead === undefined) throw new KeysteadError("CLOSED", "the local KEK is closed; open it again");
    return this.#aead;
  }
}

/** A master key that comes from a passphrase: the store keeps the parameters, so that it can be derived again. */
export class PassphraseKek extends LocalKek implements DerivesFromPassphrase {
  readonly derivation: string;

  constructor(parts: LocalKekParts, derivation: string) {
    super(parts);
    this.derivation = derivation;
  }
}
