import type { Clock } from "../clock.ts";
import type { JobPace as PaceSettings } from "./job-work.ts";

/** Works over which the database's own speed is judged. */
const window = 8;
const firstRest = 20;
const longestRest = 2_000;
/** Milliseconds of work that a job that fell behind its rate may catch up on. */
const mostCredit = 1_000;

/** What a database did for a page. */
export interface PageWork {
  readonly kind: "read" | "write";
  readonly rows: number;
  /** Milliseconds. */
  readonly took: number;
}

/**
 * How fast one worker goes: no more than its share of the rows a second, and with a rest after each page while the database takes
 * longer for a row than it does at its best. Rests double while it is slow and halve once it is not.
 *
 * Only like is compared with like: reading with reading, writing with writing, of about as many rows. Else the first pages with something
 * to write would look slow after many that had nothing.
 */
export class Pacer {
  readonly #clock: Clock;
  #due: number;
  readonly #speeds = new Map<string, Speed>();
  #rest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#due = clock.monotonic();
  }

  /** Rows of the next page: with a slow rate, small pages, so that the time between them is less than a lease. */
  pageRows(most: number, { rowsPerSecond }: PaceSettings, workers: number): number {
    return rowsPerSecond === null ? most : Math.max(1, Math.min(most, Math.floor(rowsPerSecond / Math.max(1, workers))));
  }

  /** Milliseconds to wait after a page. */
  delayAfter(rows: number, works: readonly PageWork[], { rowsPerSecond, latencyGuard }: PaceSettings, workers: number): number {
    this.#observe(works, latencyGuard);
    if (rowsPerSecond === null) return this.#rest;
    const now = this.#clock.monotonic();
    this.#due = Math.max(this.#due, now - mostCredit) + (rows * 1000 * Math.max(1, workers)) / rowsPerSecond;
    return Math.max(this.#rest, this.#due - now);
  }

  #observe(works: readonly PageWork[], guard: number | null): void {
    const done = works.filter(({ rows }) => rows > 0);
    if (guard === null || done.length === 0) {
      this.#rest = 0;
      return;
    }
    const slownesses = done.flatMap(({ kind, rows, took }) => this.#speedOf(kind, rows).observe(took / rows) ?? []);
    if (slownesses.length === 0) return;
    const isSlow = slownesses.some((slowness) => slowness > guard);
    this.#rest = isSlow ? Math.min(longestRest, Math.max(firstRest, this.#rest * 2)) : this.#rest < firstRest ? 0 : this.#rest / 2;
  }

  #speedOf(kind: PageWork["kind"], rows: number): Speed {
    const name = `${kind} ${String(Math.round(Math.log2(rows)))}`;
    const known = this.#speeds.get(name) ?? new Speed();
    this.#speeds.set(name, known);
    return known;
  }
}

/** How long a database takes for a row of one sort of work. */
class Speed {
  #recent: number[] = [];
  #best = Number.POSITIVE_INFINITY;

  /** @returns how many times as long as at its best it takes now; undefined as long as that can't be told */
  observe(took: number): number | undefined {
    this.#recent = [...this.#recent, took].slice(-window);
    if (this.#recent.length < window) return undefined;
    const usual = [...this.#recent].sort((a, b) => a - b)[window / 2] ?? 0;
    this.#best = Math.min(this.#best, usual);
    return usual === this.#best ? 1 : usual / this.#best;
  }
}
