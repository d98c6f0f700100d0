import type { Clock } from "../clock.ts";

const recordLimit = 1000;
const interval = 1000;
/** What a run costs beside its records it costs twice a second at most: under load, more records share it. */
const busyInterval = 500;

/** Runs a task after 1,000 records, or a second after the first one; never twice at once, and twice a second at most. */
export class CheckpointSchedule {
  readonly #clock: Clock;
  readonly #task: () => Promise<void>;
  #waiting = 0;
  #lastRun = Number.NEGATIVE_INFINITY;
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

  /** Tells of records. */
  note(records = 1): void {
    const before = this.#waiting;
    this.#waiting += records;
    if (this.#waiting < recordLimit) this.#arm(interval);
    else if (before < recordLimit) this.#hasten();
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

  /** Runs the task as soon as it may run again. */
  #hasten(): void {
    const left = this.#lastRun + busyInterval - this.#clock.monotonic();
    if (left <= 0) {
      this.#runQuietly();
      return;
    }
    this.#timer?.abort();
    this.#timer = undefined;
    this.#arm(left);
  }

  /** Once per second with traffic, and once more a second after a failure: nothing keeps an idle process awake. */
  #arm(interval: number): void {
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
    this.#lastRun = this.#clock.monotonic();
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
      else if (failed || this.#waiting > 0) this.#arm(interval);
    }
  }
}
