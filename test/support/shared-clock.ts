import { appendFileSync, statSync } from "node:fs";
import { type Clock, systemClock } from "../../src/clock.ts";

const hour = 3_600_000;

/**
 * One clock of several processes: the system's, ahead by an hour for each byte of a file. Whoever moves it on does so for all of them
 * at once, in the middle of what they do. It never goes back. The monotonic clock and waits are the system's.
 */
export class SharedClock implements Clock {
  readonly #path: string;

  /** @param path of a file, which need not be there yet */
  constructor(path: string) {
    this.#path = path;
    this.advance(0);
  }

  now(): number {
    return systemClock.now() + statSync(this.#path).size * hour;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return systemClock.wait(milliseconds, signal);
  }

  /** Moves the clock on for every process. Appending is one act, so two at once add up. */
  advance(hours: number): void {
    appendFileSync(this.#path, ".".repeat(hours));
  }
}
