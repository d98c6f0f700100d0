import type { Clock } from "../../clock.ts";
import { ClockAge } from "../../crypto/clock-age.ts";
import type { Caller } from "../caller.ts";
import type { OidcIssuer } from "./oidc-issuer.ts";
import type { TokenBearer } from "./token-payload.ts";

const verifiedLasts = 60_000;

/** A question to the issuer whether a token counts. */
interface Question {
  readonly age: ClockAge;
  readonly answer: Promise<void>;
}

/** A token that was verified, without the token: for a minute, and until it expires, it need not be verified again. */
export class VerifiedToken {
  readonly caller: Caller;
  readonly #issuer: OidcIssuer;
  readonly #bearer: TokenBearer;
  readonly #clock: Clock;
  readonly #age: ClockAge;
  /** Since the issuer was last asked whether it counts, and said yes. */
  #confirmed: ClockAge | undefined;
  /** The newest question that has no answer yet. */
  #asked: Question | undefined;

  constructor(issuer: OidcIssuer, bearer: TokenBearer, clock: Clock) {
    this.caller = bearer.caller;
    this.#issuer = issuer;
    this.#bearer = bearer;
    this.#clock = clock;
    this.#age = new ClockAge(clock);
  }

  get isFresh(): boolean {
    return this.#age.milliseconds() < verifiedLasts && this.#clock.now() < this.#bearer.expiresAt;
  }

  /** True when the issuer need not be asked now. */
  get isConfirmed(): boolean {
    const lasts = this.#issuer.confirmationLasts;
    return lasts === undefined || (this.#confirmed !== undefined && this.#confirmed.milliseconds() < lasts);
  }

  /**
   * Asks the issuer unless it need not be asked. Calls share a question for as long as its answer would count: one on its way may be older
   * than a revocation.
   * @throws KeysteadError `UNAUTHENTICATED`, `OVERLOADED`
   */
  async confirm(token: string): Promise<void> {
    if (this.isConfirmed) return;
    const lasts = this.#issuer.confirmationLasts ?? 0;
    const asked = this.#asked;
    await (asked !== undefined && asked.age.milliseconds() < lasts ? asked : this.#ask(token)).answer;
  }

  #ask(token: string): Question {
    const age = new ClockAge(this.#clock);
    const answer = this.#issuer.confirm(token, this.#bearer.subject).then(() => {
      this.#confirmed = age;
    });
    const question = {
      age,
      answer: answer.finally(() => {
        if (this.#asked === question) this.#asked = undefined;
      }),
    };
    this.#asked = question;
    return question;
  }
}
