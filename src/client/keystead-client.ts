import type { KeysteadApi } from "../api/keystead-api.ts";
import { assertCallBounds, type CallBounds } from "./call-bounds.ts";
import { Connection } from "./connection.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { HttpCalls } from "./http-calls.ts";
import { LocalCipher, type LocalOptions } from "./local-cipher.ts";
import { ServedCalls } from "./served-calls.ts";

type KeyTarget = Parameters<KeysteadApi["encrypt"]>[0];

/**
 * A served engine: the same methods and types as the embedded `Keystead`, over HTTP. Connections are kept; calls that may be repeated are
 * sent again when they are lost; every failure is a `KeysteadError` with the code that the engine gave, `SERVER_UNREACHABLE` when there was
 * no answer.
 *
 * @example
 * await using keystead = new KeysteadClient({ url: "https://keys.example.org", token: process.env.KEYSTEAD_TOKEN ?? "" });
 * const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
 */
export class KeysteadClient extends ServedCalls {
  readonly #connection: Connection;
  readonly #locals = new Set<LocalCipher>();

  /** @throws KeysteadError `INVALID_ARGUMENT` for an address that is none, that carries a password, or is remote without TLS */
  constructor(options: ConnectionOptions) {
    const connection = new Connection(options);
    super(new HttpCalls(connection));
    this.#connection = connection;
  }

  /**
   * The same calls with bounds of their own, over the same connections: a signal that stops them, another time-out, another number of
   * repetitions. A job that was started goes on when waiting for it is stopped; its own `signal` pauses it.
   * @throws KeysteadError `INVALID_ARGUMENT`
   * @example
   * const { decryptText } = keystead.with({ signal: AbortSignal.timeout(500), retries: 0 });
   */
  with(bounds: CallBounds): ServedCalls {
    assertCallBounds(bounds);
    return new ServedCalls(new HttpCalls(this.#connection, bounds));
  }

  /**
   * Local mode: seals and opens in this process, with keys that the server leases for an hour at most, each for one prefix of nonces. For keys of
   * XAES-256-GCM. It needs the right `leases.create` beside `data.encrypt` and `data.decrypt`; {@link close} ends it, too.
   * @throws KeysteadError `INVALID_ARGUMENT`
   * @example
   * const local = keystead.local("pii-email");
   * const sealed = await local.encrypt("anna@example.org", { context: { table: "person", column: "email" } });
   */
  local(target: KeyTarget, options: LocalOptions = {}): LocalCipher {
    const local = new LocalCipher(this, target, options, () => this.#locals.delete(local));
    this.#locals.add(local);
    return local;
  }

  /** Gives leases back, and ends connections once what is under way has ended. Closing again does nothing. */
  async close(): Promise<void> {
    await Promise.all([...this.#locals].map((local) => local.close()));
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
