import type { Clock } from "../clock.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { KekOperation, Observer } from "../observer.ts";
import type { KekProvider } from "./kek.ts";
import { judgesRetries } from "./retryable.ts";

/** Bounds of every call to a KEK provider. */
export interface KekCallBounds {
  readonly clock: Clock;
  /** Milliseconds that one call may take, retries included. Default 10,000. */
  readonly timeout?: number;
  /** How often a call is tried at most, when the provider says that its error may be retried. Default 4. */
  readonly attempts?: number;
  /** Milliseconds before the first retry; doubles with each. Default 100. */
  readonly retryDelay?: number;
  /** Hears of each call. */
  readonly observer?: Pick<Observer, "kekCall">;
}

/** How messages name what is asked of a KEK. */
const words: Readonly<Record<KekOperation, string>> = {
  open: "opening",
  wrap: "wrapping a key",
  unwrap: "unwrapping a key",
  close: "closing",
};

/** One call: what to do and what may end it early. */
export interface KekCall<T> {
  readonly operation: KekOperation;
  readonly uri: string;
  readonly provider: Pick<KekProvider, "mapError">;
  readonly work: (signal: AbortSignal) => Promise<T>;
  readonly signal?: AbortSignal | undefined;
  /** What to do with a result that arrives after the call was given up; must not throw. */
  readonly discard?: (late: T) => void;
}

/** Maps whatever a provider threw. Its cause is kept; a KeysteadError passes as it is. */
function mapFailure(error: unknown, { provider, uri, operation }: Pick<KekCall<unknown>, "provider" | "uri" | "operation">): KeysteadError {
  const what = words[operation];
  if (isKeysteadError(error)) return error;
  const failed = (cause: unknown): KeysteadError =>
    new KeysteadError("KEK_FAILED", `${what} with ${uri} failed; see the cause, then check the KEK and its configuration`, { cause });
  try {
    const mapped = provider.mapError?.(error);
    return isKeysteadError(mapped) ? mapped : failed(mapped ?? error);
  } catch {
    return failed(error);
  }
}

async function tryRepeatedly<T>(
  call: KekCall<T>,
  { clock, attempts = 4, retryDelay = 100 }: KekCallBounds,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call.work(signal);
    } catch (error) {
      signal.throwIfAborted();
      const retry = attempt < attempts && judgesRetries(call.provider) && call.provider.isRetryable(error);
      if (!retry) throw mapFailure(error, call);
    }
    await clock.wait(retryDelay * 2 ** (attempt - 1), signal);
  }
}

/** The work's result, or the reason of the abort: whichever is first, also when the work ignores the signal. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal, discard: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let ended = false;
    const fail = (error: unknown): void => {
      if (ended) return;
      ended = true;
      reject(error instanceof Error ? error : new Error("aborted", { cause: error }));
    };
    const onAbort = (): void => {
      fail(signal.reason);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then((result) => {
      if (ended) {
        discard(result);
        return;
      }
      ended = true;
      resolve(result);
    }, fail);
  });
}

/**
 * Runs one call to a provider within its bounds.
 *
 * @throws KeysteadError `KEK_TIMEOUT` after the time-out, `CANCELLED` when the caller's signal aborts, what the provider's
 * `mapError` says, or `KEK_FAILED` with the cause
 */
export async function callKek<T>(call: KekCall<T>, bounds: KekCallBounds): Promise<T> {
  const { observer } = bounds;
  return observer === undefined ? callWithin(call, bounds) : observer.kekCall(call.operation, () => callWithin(call, bounds));
}

async function callWithin<T>(call: KekCall<T>, { timeout = 10_000, ...bounds }: KekCallBounds): Promise<T> {
  const { clock } = bounds;
  const { operation, uri, signal: callerSignal } = call;
  const what = words[operation];
  const ended = new AbortController();
  const onCallerAbort = (): void => {
    const cause: unknown = callerSignal?.reason;
    // A closing handle aborts with its own typed error; any other reason is the caller's.
    ended.abort(
      isKeysteadError(cause) ? cause : new KeysteadError("CANCELLED", `${what} with ${uri} was cancelled by the caller`, { cause }),
    );
  };
  if (callerSignal?.aborted === true) onCallerAbort();
  else callerSignal?.addEventListener("abort", onCallerAbort, { once: true });
  ended.signal.throwIfAborted();

  const settled = new AbortController();
  clock.wait(timeout, settled.signal).then(
    () => {
      const problem = `${what} with ${uri} took longer than ${String(timeout)} ms; check that the KEK can be reached`;
      ended.abort(new KeysteadError("KEK_TIMEOUT", problem));
    },
    () => undefined,
  );
  try {
    return await untilAborted(tryRepeatedly(call, bounds, ended.signal), ended.signal, call.discard ?? (() => undefined));
  } finally {
    settled.abort();
    callerSignal?.removeEventListener("abort", onCallerAbort);
  }
}
