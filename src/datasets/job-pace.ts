import type { Clock } from "../clock.ts";
import type { JobPace as PaceSettings } from "./job-work.ts";

/** Pages over which the database's own speed is judged. */
const window = 8;
const firstRest = 20;
const longestRest = 2_000;
/** Milliseconds of work that a job that fell behind its rate may catch up on. */
const mostCredit = 1_000;

/**
 * How fast one worker goes: no more than its share of the rows a second, and with a rest after each page while the database takes
 * longer for a row than it does at its best. Rests double while it is slow and halve once it is not.
 */
export class Pacer {
  readonly #clock: Clock;
  #due: number;
  #recent: number[] = [];
  #best = Number.POSITIVE_INFINITY;
  #rest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#due = clock.monotonic();
  }

  /** Rows of the next page: with a slow rate, small pages, so that the time between them is less than a lease. */
  pageRows(most: number, { rowsPerSecond }: PaceSettings, workers: number): number {
    return rowsPerSecond === null ? most : Math.max(1, Math.min(most, Math.floor(rowsPerSecond / Math.max(1, workers))));
  }

  /**
   * Milliseconds to wait after a page.
   * @param took what the database took for it, in milliseconds
   */
  delayAfter(rows: number, took: number, { rowsPerSecond, latencyGuard }: PaceSettings, workers: number): number {
    this.#observe(rows, took, latencyGuard);
    if (rowsPerSecond === null) return this.#rest;
    const now = this.#clock.monotonic();
    this.#due = Math.max(this.#due, now - mostCredit) + (rows * 1000 * Math.max(1, workers)) / rowsPerSecond;
    return Math.max(this.#rest, this.#due - now);
  }

  #observe(rows: number, took: number, guard: number | null): void {
    if (guard === null || rows === 0) {
      this.#rest = 0;
      return;
    }
    this.#recent = [...this.#recent, took / rows].slice(-window);
    if (this.#recent.length < window) return;
    const usual = [...this.#recent].sort((a, b) => a - b)[window / 2] ?? 0;
    this.#best = Math.min(this.#best, usual);
    const isSlow = usual > guard * this.#best;
    this.#rest = isSlow ? Math.min(longestRest, Math.max(firstRest, this.#rest * 2)) : this.#rest < firstRest ? 0 : this.#rest / 2;
  }
}
