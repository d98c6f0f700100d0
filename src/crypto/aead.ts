import type { Clock } from "../clock.ts";
import type { RandomSource } from "./random.ts";

/** Authenticated encryption under one key. Holds the key where nothing prints it. */
export interface Aead {
  /**
   * The payload: nonce, commitment if the algorithm has one, ciphertext, tag.
   * @throws KeysteadError `INVALID_ARGUMENT` when the payload would be longer than 256 MiB.
   */
  seal(plaintext: Uint8Array, aad: Uint8Array): Buffer;
  /** The plaintext; `undefined` when the payload does not open, whatever the reason. Never throws. */
  open(payload: Uint8Array, aad: Uint8Array): Buffer | undefined;
}

/** What sealing needs beside the key. */
export interface AeadOptions {
  /** Where nonces come from. A `RandomPool` makes sealing several times faster than drawing each nonce from the system. */
  readonly random: RandomSource;
  readonly clock: Clock;
}
