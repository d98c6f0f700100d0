import { setImmediate as nextTurn } from "node:timers/promises";
import { type Clock, systemClock } from "../../index.ts";

const day = 86_400_000;

/**
 * The clock of a demo store: real time, set back by some days at the start, and moved on by {@link advance} and by waiting.
 *
 * Somebody who waits gets his time at once: the clock jumps. Waits that can be aborted are timers in the background (the next
 * audit checkpoint); they take real time, because otherwise every one of them would push the clock on.
 *
 * @example
 * const clock = new DemoClock({ daysBehind: 7 });
 * clock.advance(7); // and now it agrees with the real one
 */
export class DemoClock implements Clock {
  readonly #real: Clock;
  readonly #behind: number;
  #skipped = 0;

  /** @param options.daysBehind how far it starts in the past, so that days can be skipped without ending in the future */
  constructor({ daysBehind = 0, real = systemClock }: { readonly daysBehind?: number; readonly real?: Clock } = {}) {
    this.#real = real;
    this.#behind = daysBehind * day;
  }

  now(): number {
    return this.#real.now() - this.#behind + this.#skipped;
  }

  monotonic(): number {
    return this.#real.monotonic() + this.#skipped;
  }

  async wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (signal !== undefined) return this.#real.wait(milliseconds, signal);
    this.#skip(milliseconds);
    await nextTurn();
  }

  /** Moves both clocks on. Keys that are open need `keystead.refresh()` afterwards: their lease has run out. */
  advance(days: number): void {
    this.#skip(days * day);
  }

  /** Time never goes back. */
  #skip(milliseconds: number): void {
    this.#skipped += Math.max(0, milliseconds);
  }
}
