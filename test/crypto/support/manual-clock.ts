import type { Clock } from "../../../src/clock.ts";

/** A clock whose two hands a test moves. */
export class ManualClock implements Clock {
  wall = 1_700_000_000_000;
  steady = 1_000;

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return this.steady;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  /** Time passes: both hands move. */
  pass(milliseconds: number): void {
    this.wall += milliseconds;
    this.steady += milliseconds;
  }
}
