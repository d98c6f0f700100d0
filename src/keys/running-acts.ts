import { systemClock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";

/** The acts that run in this process, so that closing waits for them and for their audit records. */
export class RunningActs {
  readonly #ending = new AbortController();
  readonly #ended = Promise.withResolvers<undefined>();
  /**
   * How many run. Not a set of them: V8 links the tables that a busy set outgrows, so that acts which were in one of them would be taken for
   * alive until the next big collection of garbage.
   */
  #running = 0;

  /** Aborts when no act begins any more: what runs for long stops then. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Runs an act. @throws KeysteadError `CLOSED` after {@link end}, and what the act throws */
  async run<T>(act: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await act();
    } finally {
      this.leave();
    }
  }

  /** Begins an act, which tells by {@link leave} that it ended. @throws KeysteadError `CLOSED` after {@link end} */
  enter(): void {
    if (this.signal.aborted) throw new KeysteadError("CLOSED", "Keystead is closed; open it again");
    this.#running += 1;
  }

  /** Ends what {@link enter} began: once for each, whatever came of it. */
  leave(): void {
    this.#running -= 1;
    this.#endIfDone();
  }

  /** Lets no act begin any more, and waits for those that run, so many milliseconds at most. */
  async end(patience: number): Promise<void> {
    this.#ending.abort();
    this.#endIfDone();
    const enough = new AbortController();
    await Promise.race([this.#ended.promise, systemClock.wait(patience, enough.signal)]);
    enough.abort();
  }

  #endIfDone(): void {
    if (this.#running === 0 && this.signal.aborted) this.#ended.resolve(undefined);
  }
}
