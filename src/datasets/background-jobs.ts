import { isDeepStrictEqual } from "node:util";
import { anything, assertArguments, choice, having, number, object, optional, recordOf, text } from "../arguments.ts";
import { systemClock } from "../clock.ts";
import { type ErrorCode, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { auditedAtOnce, permitOnDataset } from "./dataset-acts.ts";
import { DatasetService } from "./dataset-service.ts";
import { leaseOwner } from "./job-lease.ts";
import type { JobOptions, RecontextOptions, ReencryptOptions } from "./job-options.ts";
import { findResumable, type JobInfo, JobService, resumeAct, type Resumable, type ResumeOptions } from "./job-service.ts";
import { jobState } from "./job-state.ts";
import { readWork } from "./job-work.ts";
import type { PlaintextJobResult } from "./remains.ts";
import { workerEngine } from "./worker-engine.ts";

/** What a job is told that runs by itself: nobody listens to it, and the end of the process stops it. */
type Apart<T> = Omit<T, "onProgress" | "onProblems" | "signal">;

/** A job to be started, with what its method of `DatasetService` takes. */
export type JobOrder =
  | { readonly kind: "protect" | "verify" | "index" | "unprotect"; readonly options?: Apart<JobOptions> }
  | { readonly kind: "reencrypt"; readonly options?: Apart<ReencryptOptions> }
  | { readonly kind: "recontext"; readonly context?: Readonly<Record<string, string>>; readonly options?: Apart<RecontextOptions> }
  | { readonly kind: "cut-over"; readonly index: string; readonly generation: number; readonly options?: Apart<JobOptions> }
  | { readonly kind: "cut-over-column" | "erase-column"; readonly column: string; readonly options?: Apart<JobOptions> }
  | { readonly kind: "resume"; readonly options?: Apart<ResumeOptions> };

/** What access control is asked, and the audit told, when a job is started. */
const actions: Readonly<Record<JobOrder["kind"], string>> = {
  protect: "datasets.protect",
  reencrypt: "datasets.reencrypt",
  recontext: "datasets.recontext",
  verify: "datasets.verify",
  index: "datasets.index",
  unprotect: "datasets.unprotect",
  "cut-over": "datasets.cut-over",
  "cut-over-column": "datasets.cut-over-column",
  "erase-column": "datasets.erase-column",
  resume: "jobs.resume",
};

function actionOf(order: JobOrder): string {
  if (order.kind === "reencrypt" && order.options?.from !== undefined) return "datasets.import";
  if (order.kind === "recontext" && order.context !== undefined) return "datasets.set-context";
  return actions[order.kind];
}

/**
 * Kinds of jobs that an order joins at once, by its action. Others look at the dataset first, and may be refused while a job of such a kind
 * runs.
 */
const joined: Readonly<Record<string, string>> = {
  "datasets.protect": "protect",
  "datasets.reencrypt": "reencrypt",
  "datasets.import": "import",
  "datasets.recontext": "recontext",
  "datasets.verify": "verify",
  "datasets.index": "index",
  "datasets.unprotect": "unprotect",
};

/** What is particular to one kind, that kind's own method checks. */
const order = object<Record<"kind" | "options" | "context" | "index" | "generation" | "column", unknown>>({
  kind: choice(...Object.keys(actions)),
  options: optional(recordOf(anything)),
  context: optional(recordOf(text)),
  index: optional(text),
  generation: optional(number),
  column: optional(text),
});
const rules = {
  start: { dataset: text, order },
  watch: { dataset: text, signal: having("an AbortSignal", "addEventListener", "throwIfAborted") },
} as const;

/** Milliseconds between looks at whether a job has begun. */
const lookMilliseconds = 20;

/** Runs that are remembered for those who ask how they ended. */
const keptRuns = 1000;

/** Milliseconds between looks at a job that somebody follows. */
const watchMilliseconds = 250;

/** Milliseconds after which access control is asked again for who follows a job. */
const askMilliseconds = 1_000;

/** A job as it goes on. */
export interface JobSighting {
  readonly job: JobInfo;
  readonly result?: PlaintextJobResult;
}

/** The jobs that this process runs or ran by itself: one for all callers. */
export class JobRuns {
  readonly #runs = new Map<string, Promise<PlaintextJobResult>>();
  readonly #over = new WeakSet<Promise<PlaintextJobResult>>();

  /** Remembers a run of a job, the newest of it. */
  add(id: string, run: Promise<PlaintextJobResult>): void {
    this.#runs.delete(id);
    this.#runs.set(id, run);
    const end = (): void => {
      this.#over.add(run);
    };
    run.then(end, end);
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined && this.#runs.size > keptRuns) this.#runs.delete(oldest);
  }

  /** Remembers a run of a job unless another one is remembered that goes on: a job that was paused or failed is taken up by a run of its own. */
  addFirst(id: string, run: Promise<PlaintextJobResult>): void {
    const known = this.#runs.get(id);
    if (known === undefined || this.#over.has(known)) this.add(id, run);
  }

  /** How the newest run of a job ends; undefined where it ran elsewhere. @throws what the run throws */
  async end(id: string): Promise<PlaintextJobResult | undefined> {
    return this.#runs.get(id);
  }

  /** True for a job and itself, and for two jobs of one run. */
  areOne(id: string, other: string): boolean {
    return id === other || (this.#runs.has(id) && this.#runs.get(id) === this.#runs.get(other));
  }

  /** False at once when the newest run of a job ends or is not known here; true when it goes on for a while. */
  async goesOn(id: string, signal: AbortSignal): Promise<boolean> {
    const run = this.#runs.get(id);
    const isOver = (): boolean => false;
    const isNotOver = (): boolean => true;
    if (run === undefined) return false;
    return Promise.race([run.then(isOver, isOver), systemClock.wait(watchMilliseconds, signal).then(isNotOver, isNotOver)]);
  }
}

/** Jobs that are started and go on by themselves, as a server runs them for its callers. */
export class BackgroundJobs {
  readonly #engine: Engine;
  readonly #jobs: JobService;
  /** Services that do the work of a run, and tell of each of its jobs. */
  readonly #workerFor: (onJoin: (id: string) => void) => DatasetService;
  readonly #workerJobs: JobService;
  readonly #workerJobsFor: (resumed: Resumable | undefined) => JobService;
  readonly #runs: JobRuns;

  constructor(engine: Engine, databases: Databases, codecs: Codecs, runs: JobRuns) {
    // Whoever starts a job has been asked for it; the engine does the work.
    const worker = workerEngine(engine);
    this.#engine = engine;
    this.#jobs = new JobService(engine, databases, codecs);
    this.#workerFor = (onJoin) => new DatasetService(worker, databases, codecs, onJoin);
    this.#workerJobsFor = (resumed) => new JobService(worker, databases, codecs, resumed);
    this.#workerJobs = this.#workerJobsFor(undefined);
    this.#runs = runs;
  }

  /**
   * Starts a job, or joins the workers of one of its kind, and lets it go on by itself: until it is done, paused or cancelled, or the process
   * ends, which pauses it. `jobs.show()` tells how far it is.
   * @returns the job, once it has begun or ended
   * @throws KeysteadError what the job's own method of `datasets` throws before it has begun
   * @example
   * const { id } = await keystead.backgroundJobs.start("crm.person", { kind: "reencrypt", options: { rowsPerSecond: 500 } });
   */
  async start(dataset: string, order: JobOrder): Promise<JobInfo> {
    assertArguments({ dataset, order }, rules.start);
    const resumed = order.kind === "resume" ? await findResumable(this.#engine, dataset) : undefined;
    const act = order.kind === "resume" ? resumeAct(dataset, resumed, order) : { action: actionOf(order), dataset, terms: order };
    return auditedAtOnce(
      this.#engine,
      act,
      () => this.#start(dataset, order, resumed),
      ({ id }) => ({ detail: { job: id, started: true } }),
    );
  }

  /**
   * Follows the newest job on a dataset until it does not run any more, and on to the next one where an order takes two (`erase-column`
   * looks at every row before it erases); the last sighting says how it ended, where this process knows. Whoever may not look any more is
   * refused within about a second.
   * @throws KeysteadError `UNKNOWN_DATASET`, `UNKNOWN_JOB`, `ACCESS_DENIED`, and what the job's own method throws at its end
   */
  async *watch(dataset: string, signal: AbortSignal): AsyncGenerator<JobSighting> {
    assertArguments({ dataset, signal }, rules.watch);
    const first = await this.#jobs.show(dataset);
    // Who was approved of for the first look is for what follows from it.
    const isApproved = (await this.#decisionOn(dataset)) === "APPROVAL_REQUIRED";
    let asked = systemClock.monotonic();
    for (let look = first, seen: JobInfo | undefined; ; seen = look, look = await this.#workerJobs.show(dataset)) {
      if (look.state === "running" && this.#runs.areOne(look.id, first.id)) {
        if (!isDeepStrictEqual(look, seen)) yield { job: look };
        await systemClock.wait(watchMilliseconds, signal).catch(() => undefined);
        // After one job, the run may begin another.
      } else if (!(await this.#runs.goesOn(first.id, signal))) {
        const result = await this.#runs.end(first.id);
        const last = await this.#workerJobs.show(dataset);
        yield { job: this.#runs.areOne(last.id, first.id) ? last : look, ...(result !== undefined && { result }) };
        return;
      }
      if (signal.aborted) return;
      if (systemClock.monotonic() - asked < askMilliseconds) continue;
      const decision = await this.#decisionOn(dataset);
      // As a call, it is refused with its record.
      if (decision !== undefined && !(isApproved && decision === "APPROVAL_REQUIRED")) await this.#jobs.show(dataset);
      asked = systemClock.monotonic();
    }
  }

  /** What access control has against a look of the caller, without a record; undefined: nothing. */
  async #decisionOn(dataset: string): Promise<ErrorCode | undefined> {
    try {
      await permitOnDataset(this.#engine, { action: "jobs.show", dataset, terms: {} });
      return undefined;
    } catch (error) {
      if (error instanceof KeysteadError) return error.code;
      throw error;
    }
  }

  async #start(dataset: string, order: JobOrder, resumed?: Resumable): Promise<JobInfo> {
    const state = { isOver: false, hasBegun: false };
    const worker = this.#workerFor((id) => this.#runs.addFirst(id, run));
    const begun = (): void => {
      state.hasBegun = true;
    };
    const run = this.#run(worker, dataset, order, begun, resumed).finally(() => {
      state.isOver = true;
    });
    // Once it has begun its end is in the audit and in the store.
    run.catch(() => undefined);
    for (;;) {
      if (state.isOver) await run;
      if (state.isOver || state.hasBegun) {
        const job = await this.#workerJobs.show(dataset);
        this.#runs.add(job.id, run);
        return job;
      }
      // One that joins may have nothing to do while the others work; how they end is known from them, where they run here, too.
      if (await this.#isAtWork(dataset, order)) {
        const job = await this.#workerJobs.show(dataset);
        this.#runs.addFirst(job.id, run);
        return job;
      }
      await Promise.race([run.catch(() => undefined), systemClock.wait(lookMilliseconds)]);
    }
  }

  /** @param onProgress - called once it works on rows */
  #run(
    worker: DatasetService,
    dataset: string,
    order: JobOrder,
    onProgress: () => void,
    resumed: Resumable | undefined,
  ): Promise<PlaintextJobResult> {
    const apart = { signal: this.#engine.acts.signal, onProgress };
    switch (order.kind) {
      case "reencrypt":
        return worker.reencrypt(dataset, { ...order.options, ...apart });
      case "recontext":
        return worker.recontext(dataset, order.context, { ...order.options, ...apart });
      case "cut-over":
        return worker.cutOver(dataset, order.index, order.generation, { ...order.options, ...apart });
      case "cut-over-column":
        return worker.cutOverColumn(dataset, order.column, { ...order.options, ...apart });
      case "erase-column":
        return worker.eraseColumn(dataset, order.column, { ...order.options, ...apart });
      case "resume":
        return this.#workerJobsFor(resumed).resume(dataset, { ...order.options, ...apart });
      case "protect":
      case "verify":
      case "index":
      case "unprotect":
        return worker[order.kind](dataset, { ...order.options, ...apart });
    }
  }

  /** True once this process is among the workers of a job that runs on the dataset, and is one that such an order joins. */
  async #isAtWork(dataset: string, order: JobOrder): Promise<boolean> {
    const own = leaseOwner();
    const kind = joined[actionOf(order)];
    return this.#engine.store.read(async (tables) => {
      const [found] = await tables.datasets.list({ name: dataset });
      const jobs = found === undefined ? [] : await tables.jobs.list({ datasetId: found.id });
      return jobs.some(
        (row) =>
          row.kind === kind && jobState(row) === "running" && readWork(row.progress)?.workers.some(({ owner }) => owner === own) === true,
      );
    });
  }
}
