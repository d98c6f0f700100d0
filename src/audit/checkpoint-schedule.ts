import type { Clock } from "../clock.ts";

const recordLimit = 1000;
const interval = 1000;

/** Runs a task after 1,000 records, or a second after the first one; never twice at once. */
export class CheckpointSchedule {
  readonly #clock: Clock;
  readonly #task: () => Promise<void>;
  #waiting = 0;
  #due = false;
  #timer: AbortController | undefined;
  #running: Promise<void> | undefined;
  #problem: unknown;
  #stopped = false;

  constructor(clock: Clock, task: () => Promise<void>) {
    this.#clock = clock;
    this.#task = task;
  }

  /** Why the last run failed; undefined after a good one. */
  get problem(): unknown {
    return this.#problem;
  }

  /** Tells of a record. */
  note(): void {
    this.#waiting++;
    if (this.#waiting >= recordLimit) this.#runQuietly();
    else this.#arm();
  }

  /**
   * Runs the task now, after one that is running.
   * @throws what the task throws
   */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    await this.#run();
  }

  /** Ends waiting for good; a running task is awaited. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#timer?.abort();
    this.#timer = undefined;
  }

  /** Once per second with traffic, and once more a second after a failure: nothing keeps an idle process awake. */
  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const timer = new AbortController();
    this.#timer = timer;
    this.#clock.wait(interval, timer.signal).then(
      () => {
        this.#timer = undefined;
        this.#runQuietly();
      },
      () => undefined,
    );
  }

  #runQuietly(): void {
    // What comes due while the task runs is run at its end.
    if (this.#running !== undefined) this.#due = true;
    else this.#run().catch(() => undefined);
  }

  #run(): Promise<void> {
    this.#timer?.abort();
    this.#timer = undefined;
    this.#waiting = 0;
    this.#due = false;
    const run = this.#runOnce();
    this.#running = run;
    return run;
  }

  async #runOnce(): Promise<void> {
    let failed = false;
    try {
      await this.#task();
      this.#problem = undefined;
    } catch (error) {
      failed = true;
      this.#problem = error;
      throw error;
    } finally {
      this.#running = undefined;
      if (this.#due && !failed && !this.#stopped) this.#runQuietly();
      else if (failed || this.#waiting > 0) this.#arm();
    }
  }
}
