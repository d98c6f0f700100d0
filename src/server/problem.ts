import { type ErrorCode, errorCodes, KeysteadError } from "../errors.ts";

/** What a client is told of a failure (RFC 9457, `application/problem+json`). */
export interface Problem {
  /** `urn:keystead:error:<code>`: stable, as the code is. */
  readonly type: string;
  /** The code in words. */
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  /** The message, which names the remedy. */
  readonly detail: string;
  readonly requestId: string;
}

/** Media type of a {@link Problem}. */
export const problemType = "application/problem+json";

/** Exit code of everything that may succeed when it is tried again. */
const tryAgain = errorCodes.STORE_BUSY.exit;

/**
 * What a client may know of an error: of Keystead's own errors code and message; of everything else nothing but that it happened, as
 * its text may hold anything.
 */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = error instanceof KeysteadError && error.code !== "INTERNAL";
  const code = known ? error.code : "INTERNAL";
  const words = code.toLowerCase().replaceAll("_", " ");
  return {
    type: `urn:keystead:error:${code}`,
    title: `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`,
    status: errorCodes[code].status,
    code,
    detail: known ? error.message : "the server failed; report it together with this request id, by which its log tells more",
    requestId,
  };
}

/** True when the same request may succeed a little later, so that its problem says when to try. */
export function isPassing({ code, status }: Pick<Problem, "code" | "status">): boolean {
  return status === 503 && errorCodes[code].exit === tryAgain;
}
