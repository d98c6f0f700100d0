import { KeysteadError } from "../errors.ts";
import type { ConnectionOptions } from "./connection-options.ts";

/**
 * The token of a call.
 * @throws KeysteadError `UNAUTHENTICATED` when the function that gives it fails, `INVALID_ARGUMENT` for what no header can carry; the
 *   signal's reason once it is aborted, whether the function answers or not
 */
export async function askToken(token: ConnectionOptions["token"], signal: AbortSignal | undefined): Promise<string> {
  signal?.throwIfAborted();
  return assertToken(typeof token === "string" ? token : await given(token, signal));
}

function given(token: () => unknown, signal: AbortSignal | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(new Error("aborted", { cause: signal?.reason }));
    };
    const fail = (cause: unknown): void => {
      reject(cause instanceof KeysteadError ? cause : new TokenFailure("UNAUTHENTICATED", failed, { cause }));
    };
    signal?.addEventListener("abort", stop, { once: true });
    const asked = new Promise((answer) => {
      answer(token());
    });
    void asked.then(resolve, fail).finally(() => signal?.removeEventListener("abort", stop));
  });
}

/** The failure of a function that gives the token. */
class TokenFailure extends KeysteadError {}

/** True when the function that gives the token failed: the server has refused nothing. */
export function isTokenFailure(error: KeysteadError): boolean {
  return error instanceof TokenFailure;
}

const failed = "the function that gives the token failed, and its error is the cause; nothing was sent";

/** A line break, most often, at the end of a file. */
function assertToken(token: unknown): string {
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new KeysteadError("INVALID_ARGUMENT", "the token has characters that no token has; pass it without spaces and line breaks");
}
