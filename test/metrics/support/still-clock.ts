import { TestClock } from "../../support/test-clock.ts";

/** A clock by which nobody waits to the end, until the test lets it. */
export class StillClock extends TestClock {
  /** True: a wait is over at once, as if its time had passed. */
  isLate = false;

  override wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (this.isLate) return super.wait(milliseconds);
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted"))));
  }
}
