import { inspect } from "node:util";
import { KeysteadError } from "../errors.ts";

const redacted = "[SecretBytes]";

/**
 * Secret bytes that can't be printed, logged or serialised by accident, and that can be wiped.
 *
 * @example
 * using secret = new SecretBytes(bytes);
 * const key = secret.use((value) => createSecretKey(value));
 */
export class SecretBytes {
  readonly #bytes: Buffer;
  #wiped = false;

  /** Copies the bytes; wiping the original stays the caller's task. */
  constructor(bytes: Uint8Array) {
    // Not `Buffer.from`, which puts small copies into memory that other buffers share.
    this.#bytes = Buffer.alloc(bytes.length);
    this.#bytes.set(bytes);
  }

  /** Number of bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /**
   * Calls `work` with the bytes themselves, not a copy: it must not keep them.
   * @throws KeysteadError `INVALID_ARGUMENT` after {@link SecretBytes.wipe}.
   */
  use<T>(work: (bytes: Buffer) => T): T {
    if (this.#wiped) throw new KeysteadError("INVALID_ARGUMENT", "secret bytes were wiped: load them again");
    return work(this.#bytes);
  }

  /** Overwrites the bytes with zeros. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}
