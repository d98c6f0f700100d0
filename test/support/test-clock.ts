import type { Clock } from "../../src/clock.ts";

/** A clock that stands still until a test moves it. Waiting moves it, too, at once. */
export class TestClock implements Clock {
  #wall: number;
  #monotonic = 0;

  constructor(start = Date.UTC(2027, 0, 1)) {
    this.#wall = start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  wait(milliseconds: number): Promise<void> {
    this.advance(milliseconds);
    return Promise.resolve();
  }

  /** Moves both clocks on. */
  advance(milliseconds: number): void {
    this.#wall += milliseconds;
    this.#monotonic += milliseconds;
  }

  /** Moves the wall clock alone, as a correction or a sleeping machine does. */
  jump(milliseconds: number): void {
    this.#wall += milliseconds;
  }
}

/** Milliseconds of a day. */
export const day = 86_400_000;
