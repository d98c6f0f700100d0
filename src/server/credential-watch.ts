import type { RouteCall } from "../api/route.ts";
import type { Exchange } from "./exchange.ts";

/** Milliseconds between looks at a credential. */
const lookMilliseconds = 1_000;

/**
 * Looks again and again whether the credential of a stream is good, as nothing else may happen in it for long. When it is not any more, what
 * is under way is aborted.
 */
export class CredentialWatch {
  readonly #exchange: Exchange;
  readonly #call: Pick<RouteCall, "reauthenticate">;
  readonly #timer: NodeJS.Timeout;
  #isLooking = false;
  #refusal: { readonly error: unknown } | undefined;

  constructor(exchange: Exchange, call: Pick<RouteCall, "reauthenticate">) {
    this.#exchange = exchange;
    this.#call = call;
    this.#timer = setInterval(() => void this.#look(), lookMilliseconds);
  }

  /** Why the credential is not good any more; undefined while it is. */
  get refusal(): { readonly error: unknown } | undefined {
    return this.#refusal;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // An issuer may take longer to answer.
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#call.reauthenticate();
    } catch (error) {
      this.stop();
      this.#refusal = { error };
      this.#exchange.abort();
    } finally {
      this.#isLooking = false;
    }
  }
}
