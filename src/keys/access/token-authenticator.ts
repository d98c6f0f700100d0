import { timingSafeEqual } from "node:crypto";
import type { Authenticator } from "../../access/authenticator.ts";
import type { Caller } from "../../access/caller.ts";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import type { AccessSnapshot } from "./access-snapshot.ts";
import type { TokenRecord } from "./access-rows.ts";
import type { PolicyAccess } from "./policy-access.ts";
import { hashToken, isTokenText, tokenId } from "./token-text.ts";

/** Tells who a token of Keystead belongs to. */
export class TokenAuthenticator implements Authenticator {
  readonly #policies: PolicyAccess;
  readonly #clock: Clock;
  /** Calls of one token share their caller, and with it what was decided about it. */
  readonly #callers = new WeakMap<TokenRecord, Caller>();

  constructor({ policies, clock }: { readonly policies: PolicyAccess; readonly clock: Clock }) {
    this.#policies = policies;
    this.#clock = clock;
  }

  /** {@link Authenticator.authenticate} */
  authenticate(token: string): Promise<Caller | undefined> | Caller | undefined {
    if (!isTokenText(token)) return undefined;
    const id = tokenId(token);
    if (id === undefined) throw refused();
    const { present } = this.#policies;
    if (present?.tokens.has(id) !== true) return this.#authenticateLater(id, token);
    return this.#check(present, id, token);
  }

  /** Another process may have made it a moment ago. */
  async #authenticateLater(id: string, token: string): Promise<Caller> {
    const snapshot = await this.#policies.snapshot();
    if (snapshot.tokens.has(id) || !(await this.#policies.lookForStranger())) return this.#check(snapshot, id, token);
    return this.#check(await this.#policies.snapshot(), id, token);
  }

  #check(snapshot: AccessSnapshot, id: string, token: string): Caller {
    const record = snapshot.tokens.get(id);
    if (record === undefined || !timingSafeEqual(hashToken(token), record.hash)) throw refused();
    if (snapshot.tokenProblem(id, this.#clock.now()) !== undefined) throw refused();
    const known = this.#callers.get(record);
    if (known !== undefined) return known;
    const caller = snapshot.callerOf(record);
    this.#callers.set(record, caller);
    return caller;
  }
}

/** Says nothing about why: a token that was good is as good as one that never was. */
function refused(): KeysteadError {
  return new KeysteadError("UNAUTHENTICATED", "the token is not good, or not any more; ask for another one");
}
