import { timingSafeEqual } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import type { KekOperation } from "../observer.ts";
import { callKek, type KekCallBounds } from "./kek-call.ts";
import type { KekUri } from "./kek-uri.ts";
import { derivesFromPassphrase, isHardwareBacked, type Kek, type KekCallOptions, type KekProvider, type WrappedKey } from "./kek.ts";

const keyLength = 32;
const maxKekIdLength = 1024;
const maxWrappedLength = 65_536;

function isKekId(kekId: unknown): boolean {
  return typeof kekId === "string" && kekId.length > 0 && kekId.length <= maxKekIdLength && !/[\p{Cc}\p{Cs}]/u.test(kekId);
}

/**
 * The portable side of a KEK: what every provider would have to do alike is done here.
 *
 * Calls have a time-out, end with the caller's signal, are retried when the provider says so, and their errors are typed.
 * What a provider returns is checked: a wrap is opened again before it is handed out, an opened key has 32 bytes.
 */
export class KekHandle {
  readonly #uri: KekUri;
  readonly #kek: Kek;
  readonly #provider: Pick<KekProvider, "mapError">;
  readonly #bounds: KekCallBounds;
  readonly #closing = new AbortController();

  constructor(uri: KekUri, kek: Kek, provider: Pick<KekProvider, "mapError">, bounds: KekCallBounds) {
    this.#uri = uri;
    this.#kek = kek;
    this.#provider = provider;
    this.#bounds = bounds;
    this.#checkKekId(kek.kekId);
  }

  /** Canonical text of the KEK's URI. */
  get uri(): string {
    return this.#uri.toString();
  }

  /** The id of the KEK version that wraps now. */
  get kekId(): string {
    return this.#kek.kekId;
  }

  /** Parameters to store beside the wraps of a KEK that comes from a passphrase; undefined for all others. */
  get derivation(): string | undefined {
    return derivesFromPassphrase(this.#kek) ? this.#kek.derivation : undefined;
  }

  /** True when the provider says that hardware holds the KEK. */
  get hardwareBacked(): boolean {
    return isHardwareBacked(this.#kek);
  }

  /**
   * Wraps a 32-byte key, and opens the wrap again before it is returned: a key whose only wrap doesn't open is a lost key.
   * @throws KeysteadError `INVALID_ARGUMENT`, `KEK_FAILED`, `KEK_TIMEOUT`, `CANCELLED`, `CLOSED`
   */
  async wrapKey(key: Uint8Array, options: KekCallOptions): Promise<WrappedKey> {
    if (key.length !== keyLength)
      throw new KeysteadError("INVALID_ARGUMENT", `a KEK wraps keys of ${String(keyLength)} bytes, not of ${String(key.length)}`);
    const wrapped = await this.#call("wrap", options, (kek, bounded) => kek.wrapKey(key, bounded));
    this.#checkKekId(wrapped.kekId);
    if (wrapped.bytes.length === 0 || wrapped.bytes.length > maxWrappedLength) {
      throw this.#misbehaved(`returned a wrap of ${String(wrapped.bytes.length)} bytes`);
    }
    const opened = await this.unwrapKey(wrapped, options);
    const same = timingSafeEqual(opened, key);
    opened.fill(0);
    if (!same) throw this.#misbehaved("wrapped a key that opens to another one; nothing was stored");
    return wrapped;
  }

  /**
   * Opens a wrap. The caller overwrites the 32 bytes after use.
   * @throws KeysteadError `WRONG_MASTER_KEY`, `KEK_FAILED`, `KEK_TIMEOUT`, `CANCELLED`, `CLOSED`
   */
  async unwrapKey(wrapped: WrappedKey, options: KekCallOptions): Promise<Uint8Array> {
    const wipe = (late: Uint8Array): void => {
      late.fill(0);
    };
    const key = await this.#call("unwrap", options, (kek, bounded) => kek.unwrapKey(wrapped, bounded), wipe);
    if (key.length !== keyLength) {
      const length = key.length;
      key.fill(0);
      throw this.#misbehaved(`opened a wrap to ${String(length)} bytes instead of ${String(keyLength)}`);
    }
    return key;
  }

  /** Ends running calls with `CLOSED` and closes the KEK. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(this.#closed());
    await callKek(
      { operation: "close", uri: this.uri, provider: this.#provider, work: () => this.#kek.close() },
      { ...this.#bounds, attempts: 1 },
    );
  }

  async #call<T>(
    operation: KekOperation,
    { context, signal }: KekCallOptions,
    work: (kek: Kek, options: KekCallOptions) => Promise<T>,
    discard?: (late: T) => void,
  ): Promise<T> {
    if (this.#closing.signal.aborted) throw this.#closed();
    return callKek(
      {
        operation,
        uri: this.uri,
        provider: this.#provider,
        // A copy: a caller who changes his object during a retry must not change what the wrap binds.
        work: (bounded) => work(this.#kek, { context: { ...context }, signal: bounded }),
        signal: signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal]),
        ...(discard === undefined ? {} : { discard }),
      },
      this.#bounds,
    );
  }

  #checkKekId(kekId: string): void {
    if (!isKekId(kekId)) throw this.#misbehaved(`gave a key id that is not text of 1 to ${String(maxKekIdLength)} printable characters`);
  }

  #misbehaved(what: string): KeysteadError {
    return new KeysteadError(
      "KEK_FAILED",
      `the KEK provider of ${this.uri} ${what}; use another provider version or report it to its maker`,
    );
  }

  #closed(): KeysteadError {
    return new KeysteadError("CLOSED", `the KEK ${this.uri} is closed; open it again`);
  }
}
