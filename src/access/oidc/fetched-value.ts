import type { Clock } from "../../clock.ts";
import { ClockAge } from "../../crypto/clock-age.ts";

/** How long a value counts, and how often it may be loaded, in milliseconds. */
export interface FetchedValueTerms {
  /** Until then it is used as it is. */
  readonly fresh: number;
  /** Until then it is used when it can't be loaded again. */
  readonly usable: number;
  /** Between the beginnings of two loads. */
  readonly pause: number;
}

/** A value from elsewhere that is loaded when it is needed, by one load at a time, and lives on for a while when that fails. */
export class FetchedValue<T extends object> {
  readonly #load: () => Promise<T>;
  readonly #clock: Clock;
  readonly #terms: FetchedValueTerms;
  #known: { readonly value: T; readonly age: ClockAge } | undefined;
  #attempt: ClockAge | undefined;
  #loading: Promise<void> | undefined;
  #problem: Error | undefined;

  constructor(load: () => Promise<T>, clock: Clock, terms: FetchedValueTerms) {
    this.#load = load;
    this.#clock = clock;
    this.#terms = terms;
  }

  /**
   * The value, loaded anew when it is no longer fresh. When the last load failed, callers don't wait for the next one while what is known
   * is usable.
   * @throws what the load failed with
   */
  async current(): Promise<T> {
    const { fresh, usable } = this.#terms;
    if (this.#ageOfKnown() > fresh && !this.#pauses()) {
      const loading = this.#renew();
      if (this.#problem === undefined || this.#ageOfKnown() > usable) await loading;
    }
    if (this.#known !== undefined && this.#ageOfKnown() <= usable) return this.#known.value;
    throw this.#problem ?? new Error("is not known");
  }

  /**
   * A value that was loaded after this one; undefined when there is none yet and the last load is too short a time ago.
   * @throws what the load failed with
   */
  async newerThan(value: T): Promise<T | undefined> {
    if (this.#known?.value === value && !this.#pauses()) await this.#renew();
    if (this.#known !== undefined && this.#known.value !== value) return this.#known.value;
    if (this.#problem !== undefined) throw this.#problem;
    return undefined;
  }

  #ageOfKnown(): number {
    return this.#known?.age.milliseconds() ?? Infinity;
  }

  /** A load that is under way may be joined; otherwise another must wait. */
  #pauses(): boolean {
    return this.#loading === undefined && this.#attempt !== undefined && this.#attempt.milliseconds() < this.#terms.pause;
  }

  /** Never rejects: the problem is kept. */
  #renew(): Promise<void> {
    this.#loading ??= this.#attemptLoad().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #attemptLoad(): Promise<void> {
    // As old as the question, not as the answer.
    const age = new ClockAge(this.#clock);
    this.#attempt = age;
    try {
      this.#known = { value: await this.#load(), age };
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error instanceof Error ? error : new Error("failed", { cause: error });
    }
  }
}
