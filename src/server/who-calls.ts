import type { Authenticator } from "../access/authenticator.ts";
import type { Caller } from "../access/caller.ts";
import { KeysteadError } from "../errors.ts";

/**
 * The caller that a token speaks for. Not async: nearly every token is known already, and then nobody waits.
 * @throws KeysteadError `UNAUTHENTICATED`, `OVERLOADED`
 */
export function callerOf(token: string, authenticators: readonly Authenticator[]): Promise<Caller> | Caller {
  for (const [index, authenticator] of authenticators.entries()) {
    const found = authenticator.authenticate(token);
    if (found instanceof Promise) return found.then((caller) => caller ?? callerOf(token, authenticators.slice(index + 1)));
    if (found !== undefined) return found;
  }
  throw new KeysteadError("UNAUTHENTICATED", "the token is not good here, or not any more; get another one");
}
