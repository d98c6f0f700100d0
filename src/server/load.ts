import { monitorEventLoopDelay } from "node:perf_hooks";
import { KeysteadError } from "../errors.ts";
import type { ServerLimits } from "./settings.ts";

const resolution = 20;
const sampleMilliseconds = 500;
const nanosecondsPerMillisecond = 1e6;

/** What is turned away unread, and unrecorded: recording it would be more work than serving it. */
export class Shed extends KeysteadError {
  constructor() {
    super("OVERLOADED", "the server has more to do than it can; wait as long as Retry-After says");
  }
}

/** How much a server has to do, and whether it can take more. */
export class Load {
  readonly #limits: ServerLimits;
  readonly #delays = monitorEventLoopDelay({ resolution });
  readonly #sampler: NodeJS.Timeout;
  #delay = 0;
  #requests = 0;
  #streams = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
    this.#delays.enable();
    this.#sampler = setInterval(() => {
      this.#delay = Math.max(0, this.#delays.mean / nanosecondsPerMillisecond - resolution);
      this.#delays.reset();
    }, sampleMilliseconds);
    this.#sampler.unref();
  }

  /** Requests and streams under way. */
  get underWay(): { readonly requests: number; readonly streams: number } {
    return { requests: this.#requests, streams: this.#streams };
  }

  /** Takes one more request; {@link leave} when it is answered. @throws Shed */
  enter(): void {
    const { requestsInFlight, eventLoopDelayMilliseconds } = this.#limits;
    if (this.#requests >= requestsInFlight || this.#delay > eventLoopDelayMilliseconds) throw new Shed();
    this.#requests++;
  }

  leave(): void {
    this.#requests--;
  }

  /** Takes one more stream; {@link leaveStream} when it ends. @throws Shed */
  enterStream(): void {
    if (this.#streams >= this.#limits.streams) throw new Shed();
    this.#streams++;
  }

  leaveStream(): void {
    this.#streams--;
  }

  close(): void {
    clearInterval(this.#sampler);
    this.#delays.disable();
  }
}
