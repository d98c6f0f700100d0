import type { Clock } from "../../../src/clock.ts";

/** A clock that stands still until it is moved; notes who waited. */
export class ManualClock implements Clock {
  time = 1_700_000_000_000;
  readonly waits: number[] = [];

  now(): number {
    return this.time;
  }

  monotonic(): number {
    return this.time / 2;
  }

  async wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.waits.push(milliseconds);
  }
}
