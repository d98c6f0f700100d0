import type { Clock } from "../clock.ts";

const jumpMilliseconds = 1_000;

/** How long ago something was made, judged by both clocks. */
export class ClockAge {
  readonly #clock: Clock;
  readonly #wall: number;
  readonly #monotonic: number;

  /** Starts counting now. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wall = clock.now();
    this.#monotonic = clock.monotonic();
  }

  /**
   * Milliseconds since the start on whichever clock says more; infinite once the two disagree by more than a second (the
   * wall clock was set, the machine slept, or it is a restored snapshot of a machine).
   */
  milliseconds(): number {
    const wall = this.#clock.now() - this.#wall;
    const monotonic = this.#clock.monotonic() - this.#monotonic;
    return Math.abs(wall - monotonic) <= jumpMilliseconds ? Math.max(wall, monotonic) : Infinity;
  }
}
