import cluster, { type Address, type Worker } from "node:cluster";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { type Clock, endsInTime } from "../clock.ts";
import { KeysteadError } from "../errors.ts";
import { passMetricsOn } from "../metrics/workers.ts";
import { passLinesOn } from "./pass-lines-on.ts";

/** Milliseconds before a worker that ended is replaced: doubled each time, until one lasts. */
const pauses = { shortest: 100, longest: 30_000 } as const;

/** Milliseconds after which a worker has lasted. */
const lasting = 60_000;

/** Milliseconds for which stdout may take what workers wrote when they are gone. */
const patience = 5_000;

/** How the processes of a server are looked after. */
export interface SuperviseOptions {
  readonly workers: number;
  readonly clock: Clock;
  /** Where lines go that workers write to their stdout: whole, one behind the other. */
  readonly stdout: Writable;
  /** Told of each worker that ended and was not asked to, and of each that the system did not start. */
  readonly onLoss: (loss: Loss) => void;
}

/** A worker that is gone. Another one is started after `pause` milliseconds. */
export interface Loss {
  /** Its number; 0 when it never was a process. */
  readonly process: number;
  readonly code: number | null;
  readonly signal: string | null;
  readonly pause: number;
  /** Why the system did not start it; absent when it did. */
  readonly problem?: string;
}

/** Processes that serve, each by this program with the same arguments; this one only looks after them. */
export class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #failed = Promise.withResolvers<number>();
  readonly #ending = new AbortController();
  #pause: number = pauses.shortest;
  #isStarted = false;
  /** What workers write; resolve when it was passed on. */
  readonly #lines = new Set<Promise<void>>();

  constructor(options: SuperviseOptions) {
    this.#options = options;
  }

  /**
   * Exit code of a worker that ended before all listened: what keeps one from it keeps its successor, too.
   * @throws KeysteadError `INTERNAL` when the system did not start one
   */
  get failed(): Promise<number> {
    return this.#failed.promise;
  }

  /** Starts the workers. @returns where they listen, once all of them do */
  async start(): Promise<Address> {
    passMetricsOn(cluster, this.#options.clock);
    // What several processes write to one pipe is torn where it is long.
    cluster.setupPrimary({ stdio: ["inherit", "pipe", "inherit", "ipc"] });
    const listening = new Promise<Address>((resolve) => {
      let count = 0;
      cluster.on("listening", (_worker, address) => {
        count++;
        if (count < this.#options.workers) return;
        this.#isStarted = true;
        resolve(address);
      });
    });
    for (let count = 0; count < this.#options.workers; count++) this.#fork();
    return listening;
  }

  /** Sends a signal to every worker. */
  signal(name: NodeJS.Signals): void {
    for (const worker of livingWorkers()) worker.process.kill(name);
  }

  /** Ends every worker in order. @returns when they are gone: false when stdout does not take what they wrote */
  async end(): Promise<boolean> {
    this.#ending.abort();
    const exits = livingWorkers().map((worker) => once(worker, "exit"));
    this.signal("SIGTERM");
    await Promise.all(exits);
    return endsInTime(this.#options.clock, patience, Promise.all(this.#lines));
  }

  #fork(): void {
    const started = this.#options.clock.monotonic();
    let worker: Worker;
    try {
      worker = cluster.fork();
    } catch (cause) {
      this.#lose({ process: 0, code: null, signal: null }, started, cause);
      return;
    }
    this.#passOn(worker);
    // Of a process that was started all other errors are followed by its end, or by nothing.
    worker.on("error", (cause) => {
      if (worker.process.pid === undefined) this.#lose({ process: 0, code: null, signal: null }, started, cause);
    });
    worker.on("exit", (code: number | null, signal: string | null) => {
      this.#lose({ process: worker.process.pid ?? 0, code, signal }, started);
    });
  }

  /** Starts another worker later. @param cause - what kept the system from starting this one */
  #lose(ending: Omit<Loss, "pause" | "problem">, started: number, cause?: unknown): void {
    const { clock, onLoss } = this.#options;
    if (this.#ending.signal.aborted) return;
    if (!this.#isStarted) {
      if (cause === undefined) this.#failed.resolve(ending.code ?? 1);
      else this.#failed.reject(notStarted(cause));
      return;
    }
    if (clock.monotonic() - started > lasting) this.#pause = pauses.shortest;
    const pause = this.#pause;
    this.#pause = Math.min(pause * 2, pauses.longest);
    onLoss({ ...ending, pause, ...(cause !== undefined && { problem: notStarted(cause).message }) });
    clock.wait(pause, this.#ending.signal).then(
      () => this.#fork(),
      () => undefined,
    );
  }

  #passOn({ process: { stdout } }: Worker): void {
    if (stdout === null) return;
    // A worker whose lines can't be passed on has its pipe closed: its own sink says what is wrong.
    const passing = passLinesOn(stdout, this.#options.stdout)
      .catch(() => undefined)
      .finally(() => this.#lines.delete(passing));
    this.#lines.add(passing);
  }
}

function notStarted(cause: unknown): KeysteadError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new KeysteadError("INTERNAL", `the system does not start a worker (${why}); see that it has memory and processes left`, { cause });
}

function livingWorkers(): Worker[] {
  return Object.values(cluster.workers ?? {}).flatMap((worker) => (worker === undefined || worker.isDead() ? [] : [worker]));
}
