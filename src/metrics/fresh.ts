import type { Clock } from "../clock.ts";

/** How long what was read is told again, how many times as long as reading it took at least, and how long anybody waits for it. */
const bounds = { fresh: 10_000, share: 20, patience: 1_000 } as const;

/** Something that was read, and when. */
export interface Read<T> {
  readonly value: T;
  /** By the monotonic clock. */
  readonly at: number;
}

/** What costs something to read, for those who ask all the time: read at most every 10 s, and waited for a second at most. */
export class Fresh<T> {
  readonly #read: () => Promise<T>;
  readonly #clock: Clock;
  #last: Read<T> | undefined;
  #reading: Promise<void> | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(read: () => Promise<T>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** What was read last: when that can't be had now, what was read before. Undefined before the first. Never throws. */
  async look(): Promise<Read<T> | undefined> {
    if (this.#clock.monotonic() < this.#notBefore) return this.#last;
    this.#reading ??= this.#readAgain();
    const enough = new AbortController();
    const late = this.#clock.wait(bounds.patience, enough.signal).catch(() => undefined);
    await Promise.race([this.#reading, late]);
    enough.abort();
    return this.#last;
  }

  async #readAgain(): Promise<void> {
    const begun = this.#clock.monotonic();
    try {
      const value = await this.#read();
      this.#last = { value, at: begun };
    } catch {
      // Its age tells that it can't be had; why is what /readyz and the doctor say.
    } finally {
      const ended = this.#clock.monotonic();
      this.#notBefore = ended + Math.max(bounds.fresh, (ended - begun) * bounds.share);
      this.#reading = undefined;
    }
  }
}
