import { assertArguments, object, optional, rule } from "../arguments.ts";
import { longestTimeout, mostRetries, wholeNumber } from "./connection-options.ts";

/** What bounds calls, beside what each one takes. */
export interface CallBounds {
  /** Stops them (`CANCELLED`). What a stopped call was to change may have been changed. */
  readonly signal?: AbortSignal;
  /** Milliseconds within which an answer has to begin, a day at most; the client's own when absent. */
  readonly timeout?: number;
  /** How often a call is sent again that may be, 10 at most; the client's own when absent. */
  readonly retries?: number;
}

const rules = {
  bounds: object<CallBounds>({
    signal: optional(rule("an AbortSignal", (value) => value instanceof AbortSignal)),
    timeout: optional(wholeNumber(1, longestTimeout)),
    retries: optional(wholeNumber(0, mostRetries)),
  }),
} as const;

/** @throws KeysteadError `INVALID_ARGUMENT` for bounds that are none */
export function assertCallBounds(bounds: CallBounds): void {
  assertArguments({ bounds }, rules);
}
