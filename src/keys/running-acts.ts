import { systemClock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";

/** The acts that run in this process, so that closing waits for them and for their audit records. */
export class RunningActs {
  readonly #running = new Set<Promise<unknown>>();
  readonly #ending = new AbortController();

  /** Aborts when no act begins any more: what runs for long stops then. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Runs an act. @throws KeysteadError `CLOSED` after {@link end}, and what the act throws */
  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.signal.aborted) throw new KeysteadError("CLOSED", "Keystead is closed; open it again");
    const running = act();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Lets no act begin any more, and waits for those that run, so many milliseconds at most. */
  async end(patience: number): Promise<void> {
    this.#ending.abort();
    const enough = new AbortController();
    const ended = Promise.allSettled(this.#running);
    await Promise.race([ended, systemClock.wait(patience, enough.signal)]);
    enough.abort();
  }
}
