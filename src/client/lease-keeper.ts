import type { KeysteadApi } from "../api/keystead-api.ts";
import type { Clock } from "../clock.ts";
import { ClockAge } from "../crypto/clock-age.ts";
import { errorCodes, KeysteadError } from "../errors.ts";
import type { HeldLease } from "./held-lease.ts";

/** Milliseconds after which the server is asked again whether leases hold, after which nothing is done with them, and between failures. */
const bounds = { ask: 30_000, stop: 60_000, retry: 5_000 } as const;
const leasesPerQuestion = 1_000;

/** Asks the server whether leases still hold, while they are used: one question for all of them at a time. */
export class LeaseKeeper {
  readonly #leases: Pick<KeysteadApi["leases"], "renew">;
  readonly #clock: Clock;
  readonly #held = new Set<HeldLease>();
  #asking: Promise<void> | undefined;
  #failed: ClockAge | undefined;

  constructor(leases: Pick<KeysteadApi["leases"], "renew">, clock: Clock) {
    this.#leases = leases;
    this.#clock = clock;
  }

  /** Looks after a lease from now on. */
  keep(lease: HeldLease): void {
    this.#held.add(lease);
  }

  /** Looks after it no more. */
  drop(lease: HeldLease): void {
    this.#held.delete(lease);
  }

  /**
   * Undefined when a lease may be used at once; otherwise resolves once the server has said whether it holds.
   * @throws KeysteadError `KEY_LEASE_EXPIRED` when the server could not be asked for 60 s
   */
  check(lease: HeldLease): Promise<void> | undefined {
    const silent = lease.unaffirmed;
    if (silent < bounds.ask) return undefined;
    if (silent >= bounds.stop) return this.#wait(lease);
    if (this.#failed === undefined || this.#failed.milliseconds() >= bounds.retry) this.#ask().catch(() => undefined);
    return undefined;
  }

  async #wait(lease: HeldLease): Promise<void> {
    // A question that is under way may be older than the lease's use.
    while (this.#isSilent(lease)) {
      try {
        await this.#ask();
      } catch (cause) {
        // What may only pass may be the matter of another lease alone.
        if (!this.#isSilent(lease)) return;
        throw new KeysteadError(
          "KEY_LEASE_EXPIRED",
          "the server could not be asked for 60 s whether a lease still holds, so nothing is sealed or opened with it; check that it answers",
          { cause },
        );
      }
    }
  }

  /** True for a lease that is looked after, of which the server has said nothing for too long. */
  #isSilent(lease: HeldLease): boolean {
    return this.#held.has(lease) && lease.holds && lease.unaffirmed >= bounds.stop;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askNow().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askNow(): Promise<void> {
    for (const lease of this.#held) if (!lease.holds) this.#held.delete(lease);
    const asked = [...this.#held].slice(-leasesPerQuestion);
    const age = new ClockAge(this.#clock);
    try {
      const answers = await this.#leases.renew(asked.map(({ id, use }) => ({ id, use })));
      const problem = asked.map((lease, place) => settle(lease, answers[place], age)).find((left) => left !== undefined);
      if (problem !== undefined) throw problem;
      this.#failed = undefined;
    } catch (error) {
      this.#failed = new ClockAge(this.#clock);
      throw error;
    }
  }
}

type Answer = Awaited<ReturnType<KeysteadApi["leases"]["renew"]>>[number];

/** Tells a lease what the server said of it. Returns what only may pass: that is no answer. */
function settle(lease: HeldLease, answer: Answer | undefined, age: ClockAge): KeysteadError | undefined {
  if (answer === undefined) return new KeysteadError("INTERNAL", "the server's answer lacks a lease; are both of one release?");
  if (!("problem" in answer)) {
    lease.affirm(age);
    return undefined;
  }
  if (errorCodes[answer.problem.code].exit === errorCodes.STORE_BUSY.exit) return answer.problem;
  lease.problem = answer.problem;
  return undefined;
}
