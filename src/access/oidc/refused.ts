import { KeysteadError } from "../../errors.ts";

/**
 * The error for a token that isn't good. Who sent it is not told why; the reason is in the cause, for the operator. It names claims, never
 * their values.
 */
export function refused(reason: string): KeysteadError {
  return new KeysteadError("UNAUTHENTICATED", "the token is not accepted; get a new one from the identity provider", {
    cause: new Error(reason),
  });
}

/** The error for a token of which nothing can be said, since its issuer does not answer. */
export function unanswered(name: string, cause: unknown): KeysteadError {
  return new KeysteadError("OVERLOADED", `the identity provider "${name}" can't be asked at the moment; try again in a few seconds`, {
    cause,
  });
}
