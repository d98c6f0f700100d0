import type { Clock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";

/** Milliseconds after which keys that were not refreshed are no longer used. */
const leaseBound = 60_000;

/** A moment on both clocks. */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

/**
 * Permission to use loaded keys, renewed by each successful refresh. Its age counts from the start of that refresh, on
 * whichever clock says more, so neither a sleeping machine nor a clock put back stretches it.
 */
export class Lease {
  readonly #clock: Clock;
  #start: Moment;
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#start = this.moment();
  }

  moment(): Moment {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic() };
  }

  /** Counts from `start`, the moment at which a successful refresh began. */
  renew(start: Moment): void {
    this.#start = start;
  }

  /** Ends it for good. */
  end(): void {
    this.#ended = true;
  }

  /** True while the lease holds. @param now - the wall clock's time */
  holds(now = this.#clock.now()): boolean {
    return !this.#ended && this.#age(now) <= leaseBound;
  }

  /** The wall clock's time. @throws KeysteadError `KEY_LEASE_EXPIRED` past the bound, `CLOSED` once ended */
  check(): number {
    const now = this.#clock.now();
    if (this.#ended) throw new KeysteadError("CLOSED", "Keystead is closed and uses its keys no more; open it again");
    if (this.#age(now) > leaseBound) {
      throw new KeysteadError(
        "KEY_LEASE_EXPIRED",
        "these keys were not refreshed for 60 s, so a suspension could have been missed; " +
          "let the event loop run or call refresh(), and check that the store answers",
      );
    }
    return now;
  }

  #age(wall: number): number {
    return Math.max(wall - this.#start.wall, this.#clock.monotonic() - this.#start.monotonic);
  }
}
