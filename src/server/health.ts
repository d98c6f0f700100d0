import type { Clock } from "../clock.ts";
import type { ReadinessCheck } from "../keystead/readiness.ts";

/** How long what was found is told again: anybody may ask, and looking is work. */
const freshMilliseconds = 1_000;

/** Whether a server can do its work. */
export class Health {
  readonly #examine: () => Promise<readonly ReadinessCheck[]>;
  readonly #clock: Clock;
  #found: Promise<readonly ReadinessCheck[]> | undefined;
  #foundAt = 0;
  #isEnding = false;

  constructor(examine: () => Promise<readonly ReadinessCheck[]>, clock: Clock) {
    this.#examine = examine;
    this.#clock = clock;
  }

  /** From now on the server is not ready: nobody should send it anything. */
  end(): void {
    this.#isEnding = true;
  }

  async look(): Promise<readonly ReadinessCheck[]> {
    if (this.#isEnding) return [{ check: "server", ready: false, cause: "it is ending" }];
    const now = this.#clock.monotonic();
    if (this.#found === undefined || now - this.#foundAt > freshMilliseconds) {
      this.#foundAt = now;
      this.#found = this.#examine();
    }
    return this.#found;
  }
}
