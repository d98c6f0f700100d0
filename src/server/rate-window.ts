import type { Clock } from "../clock.ts";

const windowMilliseconds = 60_000;
const mostKeys = 10_000;

/** What counting once more found. */
export interface Take {
  readonly within: boolean;
  /** True for the first one too many of a window. */
  readonly isFirst: boolean;
  /** Whole seconds until the window ends. */
  readonly retryAfter: number;
}

interface Window {
  readonly start: number;
  count: number;
}

/** Counts by key and minute, in bounded memory: of more than 10,000 keys the one that began first is forgotten. */
export class RateWindow {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  /** @param most - within a minute */
  constructor(most: number, clock: Clock) {
    this.#most = most;
    this.#clock = clock;
  }

  take(key: string): Take {
    const now = this.#clock.monotonic();
    const window = this.#windowOf(key, now);
    window.count++;
    return {
      within: window.count <= this.#most,
      isFirst: window.count === this.#most + 1,
      retryAfter: Math.max(1, Math.ceil((window.start + windowMilliseconds - now) / 1_000)),
    };
  }

  #windowOf(key: string, now: number): Window {
    const found = this.#windows.get(key);
    if (found !== undefined && now - found.start < windowMilliseconds) return found;
    // Set anew, so that the map's order is that of beginnings.
    this.#windows.delete(key);
    const [oldest] = this.#windows.keys();
    if (oldest !== undefined && this.#windows.size >= mostKeys) this.#windows.delete(oldest);
    const begun = { start: now, count: 0 };
    this.#windows.set(key, begun);
    return begun;
  }
}
