import type { CacheUse } from "../observer.ts";
import type { Caller } from "./caller.ts";

/** A longer bearer token is not looked at, in characters, of whatever kind it is. */
export const maxTokenLength = 16_384;

/** Tells who a bearer token belongs to: one implementation for each kind of token. */
export interface Authenticator {
  /** How often a token was verified already; absent where nothing is kept. */
  readonly lookups?: Readonly<CacheUse>;
  /**
   * The caller that a token speaks for; undefined when it is no token of this kind, so that another may be asked.
   * @throws KeysteadError `UNAUTHENTICATED` for a token of this kind that is not good (any more), without saying why in detail;
   *   `OVERLOADED` when that can't be found out at the moment
   */
  authenticate(token: string): Promise<Caller | undefined> | Caller | undefined;
}
