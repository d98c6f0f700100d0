import { isKeysteadError } from "../errors.ts";
import { mayPassLater } from "./call-failures.ts";
import type { HttpCalls } from "./http-calls.ts";

/** Milliseconds between two requests to pause the same job, at least. */
const leastInterval = 1_000;

/** Asks a server to pause the job on a dataset, by one request at a time. */
export class JobPause {
  readonly #calls: HttpCalls;
  readonly #dataset: string;
  #asked: { readonly job: string; readonly at: number } | undefined;
  #isUnderWay = false;
  /** Id of the job of which the server need not be asked any more. */
  #settled: string | undefined;

  constructor(calls: HttpCalls, dataset: string) {
    this.#calls = calls;
    this.#dataset = dataset;
  }

  /** Asks for a job once; again, and once a second at most, as long as the server could not take it. */
  ask(job: string): void {
    if (this.#isUnderWay || this.#settled === job) return;
    const at = this.#calls.clock.monotonic();
    if (this.#asked?.job === job && at - this.#asked.at < leastInterval) return;
    this.#asked = { job, at };
    void this.#ask(job);
  }

  async #ask(job: string): Promise<void> {
    this.#isUnderWay = true;
    try {
      await this.#calls.call("POST /v1/datasets/:dataset/job/pause", { params: { dataset: this.#dataset } }, false);
      this.#settled = job;
    } catch (error) {
      // A job that does not run any more, or that may not be paused, is the same when it is asked for again.
      if (!isKeysteadError(error) || !(mayPassLater(error) || error.code === "UNAUTHENTICATED")) this.#settled = job;
    } finally {
      this.#isUnderWay = false;
    }
  }
}
