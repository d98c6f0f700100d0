import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { type Dataset, findDataset } from "./dataset-records.ts";
import { isLeased, leaseMilliseconds, leaseOwner } from "./job-lease.ts";
import type { JobPaceOptions } from "./job-options.ts";
import type { JobProgress, RowCounts } from "./job-progress.ts";
import { jobRules } from "./job-rules.ts";
import { finishedStates, isUnfinished, type JobState, jobState } from "./job-state.ts";
import { isDryRun, type JobTerms } from "./job-terms.ts";
import {
  beginWork,
  exceedsProblems,
  handOut,
  type JobPace,
  type JobRange,
  type JobTask,
  type JobWork,
  liveWorkers,
  mostWorkers,
  moveRange,
  nextPass,
  readWork,
  restartPass,
  resumeWork,
  takeRange,
  taskOf,
  withCounts,
  withReplaced,
  withoutWorker,
  withWorker,
} from "./job-work.ts";
import type { Cursor } from "./source.ts";

/** What a worker is told to do. */
export type WorkerTask = Exclude<JobTask, { task: "hand-out" }>;

/** Which job a worker may join or go on with; any of its kind and terms when nothing is said. */
export interface JoinRule {
  /** Only this one, and only if it is not finished. */
  readonly job?: string;
  /** That one only while it runs. */
  readonly onlyRunning?: boolean;
  /** None: a new one is begun, so that every row is looked at, and unfinished ones of its kind are cancelled. */
  readonly fresh?: boolean;
}

/** The job as a worker last saw it. */
export interface JobView {
  readonly state: JobState;
  readonly progress: JobProgress;
  readonly pace: JobPace;
  /** Those at work, this one included. */
  readonly workers: number;
  /** The pass in which this run of the job began. */
  readonly firstPass: number;
  /** False once the pass replaced something or was interrupted. */
  readonly idle: boolean;
}

const defaultPace: JobPace = { rowsPerSecond: null, latencyGuard: null, problemLimit: 10_000 };

/**
 * A job in the store, as one of its workers sees it. Everything that workers must agree on is one row, which each of them changes in
 * short transactions.
 */
export class JobRecord {
  readonly #engine: Engine;
  readonly #terms: JobTerms;
  readonly #worker: { readonly id: string; readonly owner: string };
  /** The run of the job in which this worker is. */
  readonly #run: number;
  readonly id: string;
  /** As it is when this worker joins. From then on another template may be announced, but nothing moves before this job ends. */
  readonly dataset: Dataset;
  #view: JobView;
  /** True in the store, as far as this worker knows. */
  #isNamed = true;
  #hasLeft = false;
  readonly #stopped = new AbortController();

  private constructor(engine: Engine, terms: JobTerms, worker: string, row: StoredRecord<"jobs">, work: JobWork, dataset: Dataset) {
    this.#engine = engine;
    this.#terms = terms;
    this.#worker = { id: worker, owner: leaseOwner() };
    this.#run = work.run.number;
    this.id = row.id;
    this.dataset = dataset;
    this.#view = viewOf("running", work);
  }

  /**
   * Joins the workers of a job that runs, goes on with one that was paused, killed or failed, or begins one.
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT` while others work on the dataset in another way
   */
  static async join(engine: Engine, name: string, terms: JobTerms, pace: JobPaceOptions, rule: JoinRule = {}): Promise<JobRecord> {
    const worker = randomUuid(engine.random);
    return engine.store.transaction(async (tables) => {
      const dataset = await findDataset(tables, name);
      const now = engine.clock.now();
      const found = await findJob(tables, dataset, terms, now, rule);
      const work = joined(found, terms, pace, now);
      const live = liveWorkers(work, now).length;
      if (live >= mostWorkers)
        throw new KeysteadError("CONFLICT", `${String(live)} workers are at this job already, which is the most: let them do it`);
      const withThis = withWorker(work, { id: worker, owner: leaseOwner() }, now);
      const stored = { kind: terms.kind, datasetId: dataset.id, ...columnsOf("running", withThis, now) };
      const row =
        found === undefined
          ? await tables.jobs.insert({ id: randomUuid(engine.random), createdAt: now, ...stored })
          : await tables.jobs.update({ ...found.row, ...stored });
      return new JobRecord(engine, terms, worker, row, withThis, dataset);
    });
  }

  /** Aborted once this worker has heard that the job does not run any more. */
  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  /** As it was at the last change. */
  get view(): JobView {
    return this.#view;
  }

  /**
   * Called before the first row is read, once the table was found fit.
   * @param total rows in the table, about, for whoever looks at the progress
   */
  async begin(total: number): Promise<void> {
    const { kind, dryRun } = this.#terms;
    await this.#change(async (work, tables, isStopped) => {
      if (!dryRun && !isStopped) await jobRules[kind].begin(tables, this.dataset);
      return { work: { ...work, progress: { ...work.progress, total } } };
    });
  }

  /**
   * What to do next; undefined when the job does not run any more.
   * @param boundary where a range that begins after a place is to end; undefined: at the end of the table
   */
  async next(boundary: (after: Cursor | undefined) => Promise<Cursor | undefined>): Promise<WorkerTask | undefined> {
    for (;;) {
      const seen = await this.#peek();
      if (seen?.task.task === "wait" && seen.isRenewed) return seen.task;
      const place =
        seen?.task.task === "hand-out" ? { after: seen.task.after, until: await boundary(seen.task.after ?? undefined) } : undefined;
      const task = await this.#change<WorkerTask>((work) => this.#take(work, place));
      if (this.#view.state !== "running") return undefined;
      if (task !== undefined) return task;
    }
  }

  /**
   * Tells what became of rows of a range, up to a place, and renews the lease.
   * @returns false when this worker is to leave the range: it was taken over, or the job was stopped
   */
  async report(range: JobRange, pass: number, counts: RowCounts, to: Cursor): Promise<boolean> {
    return await this.#report(range, pass, counts, to);
  }

  /** Tells what became of the last rows of a range, which is done. */
  async finish(range: JobRange, pass: number, counts: RowCounts): Promise<void> {
    await this.#report(range, pass, counts, null);
  }

  /**
   * Says that this worker is still there, when that is due, and hears whether the job still runs; nothing once it has left. One that is
   * in the middle of something stays named, so that nobody begins another job beside it.
   */
  async attend(): Promise<void> {
    if (this.#hasLeft) return;
    const { clock, store } = this.#engine;
    const row = await store.read((tables) => tables.jobs.get({ id: this.id }));
    if (row !== undefined && jobState(row) !== "running") this.#stopped.abort();
    const work = row && readWork(row.progress);
    if (work !== undefined && this.#isRenewed(work, clock.now())) return;
    await this.#change((found) => ({ work: found, ends: this.#hasLeft ? "leaves" : "stays" }));
  }

  /** The pass is made again: the table is not what it was. */
  async restartPass(pass: number): Promise<void> {
    const now = this.#engine.clock.now();
    await this.#change((work) => ({ work: work.progress.pass === pass ? restartPass(work, now) : work }));
  }

  /**
   * Ends the pass, by the worker that was told to.
   * @param end `next`: there is another pass
   * @param alongside changed in the same transaction
   */
  async endPass(end: "next" | "done" | "paused", alongside?: (tables: StoreTables) => Promise<void>): Promise<void> {
    await this.#change(async (work, tables, isStopped) => {
      if (isStopped || work.ending !== this.#worker.id) return { work };
      await alongside?.(tables);
      const ended = end === "next" ? nextPass(work, this.#engine.clock.now()) : { ...work, ending: null };
      return { work: ended, state: end === "next" ? "running" : end };
    });
  }

  /** This worker goes. The last one leaves the job paused. */
  async leave(): Promise<void> {
    this.#hasLeft = true;
    if (!this.#isNamed) return;
    const { clock } = this.#engine;
    await this.#change((work) => {
      const alone = liveWorkers(work, clock.now()).every(({ id }) => id === this.#worker.id);
      return { work, state: alone ? (this.#terms.dryRun ? "cancelled" : "paused") : "running", ends: "leaves" };
    });
  }

  /** @param to up to where the range is done, null for all of it */
  async #report(range: JobRange, pass: number, counts: RowCounts, to: Cursor | null): Promise<boolean> {
    const holds = await this.#change((work) => {
      const found = work.progress.pass === pass ? work.ranges.find(({ number }) => number === range.number) : undefined;
      const isHeld = found !== undefined && (found.worker === null || found.worker === this.#worker.id);
      if (!isHeld) return { work: withReplaced(work, counts), answer: false };
      const moved = withCounts(moveRange(takeRange(work, { ...found, worker: this.#worker.id }), range.number, to), counts);
      return { work: moved, state: exceedsProblems(moved) ? "failed" : "running", answer: true };
    });
    return holds === true && this.#view.state === "running";
  }

  /** What there is to do at the moment, looked at without writing; undefined when the job does not run. */
  async #peek(): Promise<{ readonly task: JobTask; readonly isRenewed: boolean } | undefined> {
    const now = this.#engine.clock.now();
    return this.#engine.store.read(async (tables) => {
      const row = await tables.jobs.get({ id: this.id });
      const work = runningWork(row);
      if (work === undefined) return undefined;
      return { task: taskOf(withWorker(work, this.#worker, now), this.#worker.id), isRenewed: this.#isRenewed(work, now) };
    });
  }

  /** True while most of this worker's lease is left. */
  #isRenewed({ workers }: JobWork, now: number): boolean {
    const own = workers.find(({ id }) => id === this.#worker.id);
    return (own?.leaseUntil ?? 0) - now > leaseMilliseconds / 2;
  }

  /** Takes what there is to do. A range is handed out as long as its boundary is that of the work as it is now. */
  #take(work: JobWork, place: { readonly after: Cursor | null; readonly until: Cursor | undefined } | undefined): JobChange<WorkerTask> {
    const task = taskOf(work, this.#worker.id);
    if (task.task === "hand-out") {
      if (place?.after !== task.after) return { work };
      return this.#take(handOut(work, place.until), undefined);
    }
    if (task.task === "range") return { work: takeRange(work, task.range), answer: task };
    return { work: task.task === "end" ? { ...work, ending: this.#worker.id } : work, answer: task };
  }

  /** Changes the job while it runs. When it was stopped, what this worker did is counted, and the worker goes. */
  async #change<T>(
    change: (work: JobWork, tables: StoreTables, isStopped: boolean) => JobChange<T> | Promise<JobChange<T>>,
  ): Promise<T | undefined> {
    const { clock, store } = this.#engine;
    const {
      view,
      isNamed,
      answer: given,
    } = await store.transaction(async (tables) => {
      const now = clock.now();
      const row = await tables.jobs.get({ id: this.id });
      const before = row === undefined ? undefined : readWork(row.progress);
      if (row === undefined || before === undefined)
        throw new KeysteadError("CONFLICT", "the job is not in the store any more as it was: run it again");
      if (before.run.number !== this.#run)
        throw new KeysteadError(
          "CONFLICT",
          "another process took the job over because this one stood still for long: run it again to join it",
        );
      const found = jobState(row);
      const isStopped = found !== "running";
      const { work, state = "running", ends, answer } = await change(withWorker(before, this.#worker, now), tables, isStopped);
      const next = isStopped ? found : state;
      const stays = ends === "stays" || (next === "running" && ends !== "leaves");
      const left = stays ? work : withoutWorker(work, this.#worker.id, now);
      await tables.jobs.update({ ...row, ...columnsOf(next, finishedStates.has(next) && !isStopped ? withoutRanges(left) : left, now) });
      return { view: viewOf(next, work), isNamed: stays, answer };
    });
    this.#view = view;
    this.#isNamed = isNamed;
    if (view.state !== "running") this.#stopped.abort();
    return given;
  }
}

interface JobChange<T> {
  readonly work: JobWork;
  readonly state?: JobState;
  /** This worker goes although the job runs on, or stays although it does not. */
  readonly ends?: "leaves" | "stays";
  readonly answer?: T;
}

interface FoundJob {
  readonly row: StoredRecord<"jobs">;
  readonly work: JobWork | undefined;
}

/**
 * The unfinished jobs of a dataset that nobody works on.
 * @throws KeysteadError `CONFLICT` while somebody works on one
 */
export async function assertIdle(tables: StoreTables, dataset: Dataset, now: number): Promise<StoredRecord<"jobs">[]> {
  const jobs = await tables.jobs.list({ datasetId: dataset.id });
  for (const row of jobs) if (isWorkedOn(row, now)) throw busy(row, dataset);
  return jobs.filter(isUnfinished);
}

/**
 * Before a definition changes what jobs do to rows: those that are to go on will read the whole table again.
 * @throws KeysteadError `CONFLICT` while somebody works on one
 */
export async function restartUnfinishedJobs(tables: StoreTables, dataset: Dataset, now: number): Promise<void> {
  for (const row of await assertIdle(tables, dataset, now)) {
    const work = readWork(row.progress);
    if (work === undefined) continue;
    const restarted = restartPass(resumeWork(work, work.pace, now), now);
    await tables.jobs.update({ ...row, ...columnsOf("paused", restarted, now) });
  }
}

/** What is stored of a job. */
export function columnsOf(
  state: JobState,
  work: JobWork,
  now: number,
): Pick<StoredRecord<"jobs">, "state" | "progress" | "leaseOwner" | "leaseUntil" | "updatedAt"> {
  const last = work.workers.reduce<JobWork["workers"][number] | undefined>(
    (latest, worker) => (latest === undefined || worker.leaseUntil >= latest.leaseUntil ? worker : latest),
    undefined,
  );
  return {
    state,
    progress: JSON.stringify(work),
    leaseOwner: last?.owner ?? null,
    leaseUntil: last?.leaseUntil ?? null,
    updatedAt: now,
  };
}

/** The job that a worker on these terms joins or goes on with. Dry runs that were killed are done away with. */
async function findJob(
  tables: StoreTables,
  dataset: Dataset,
  { kind, dryRun, text }: JobTerms,
  now: number,
  { job, onlyRunning, fresh }: JoinRule,
): Promise<FoundJob | undefined> {
  const jobs = (await tables.jobs.list({ datasetId: dataset.id })).map((row) => ({ row, work: readWork(row.progress) }));
  const busyJob = jobs.find(({ row }) => isWorkedOn(row, now));
  if (busyJob !== undefined) {
    const joins = !dryRun && fresh !== true && busyJob.row.kind === kind && busyJob.work?.terms === text && isUnfinished(busyJob.row);
    if (!joins || (job !== undefined && busyJob.row.id !== job)) throw busy(busyJob.row, dataset);
    return busyJob;
  }
  const unfinished = jobs.filter(({ row }) => isUnfinished(row));
  const own = dryRun ? undefined : unfinished.find(({ row, work }) => row.kind === kind && work !== undefined && !isDryRun(work));
  if (job !== undefined && (own?.row.id !== job || onlyRunning === true))
    throw new KeysteadError("CONFLICT", `the job on dataset ${dataset.name} ended or was stopped meanwhile: nothing is left to join`);
  const found = fresh === true ? undefined : own;
  for (const { row, work } of unfinished.filter((other) => other !== found)) {
    const isOver = work === undefined || isDryRun(work) || row.kind === kind;
    // A worker that stood still must not go on beside what begins now: it finds that its run is over.
    const left = resumeWork(work ?? beginWork(text, defaultPace, now), work?.pace ?? defaultPace, now);
    await tables.jobs.update({ ...row, ...columnsOf(isOver ? "cancelled" : "paused", left, now) });
  }
  return found;
}

/** The work that a worker finds, or begins. Whoever begins or resumes a job sets its pace; who joins may change it. */
function joined(found: FoundJob | undefined, { text }: JobTerms, options: JobPaceOptions, now: number): JobWork {
  const pace = {
    ...(options.rowsPerSecond !== undefined && { rowsPerSecond: options.rowsPerSecond }),
    ...(options.latencyGuard !== undefined && { latencyGuard: options.latencyGuard }),
    ...(options.problemLimit !== undefined && { problemLimit: options.problemLimit }),
  };
  const work = found?.work;
  if (work === undefined) return beginWork(text, { ...defaultPace, ...pace }, now);
  if (liveWorkers(work, now).length > 0) return { ...work, pace: { ...work.pace, ...pace } };
  const resumed = resumeWork(work, { ...defaultPace, ...pace }, now);
  return work.terms === text ? resumed : { ...restartPass(resumed, now), terms: text };
}

/** Work that nobody goes on with. */
export function withoutRanges(work: JobWork): JobWork {
  return { ...work, ranges: [], workers: [], ending: null };
}

function runningWork(row: StoredRecord<"jobs"> | undefined): JobWork | undefined {
  return row === undefined || jobState(row) !== "running" ? undefined : readWork(row.progress);
}

/** Of a job that another version of this program wrote, only the lease tells. */
function isWorkedOn(row: StoredRecord<"jobs">, now: number): boolean {
  const work = readWork(row.progress);
  return work === undefined ? isLeased(row, now) : liveWorkers(work, now).length > 0;
}

function viewOf(state: JobState, work: JobWork): JobView {
  return { state, progress: work.progress, pace: work.pace, workers: work.workers.length, firstPass: work.run.pass, idle: work.idle };
}

function busy({ kind }: StoredRecord<"jobs">, { name }: Dataset): KeysteadError {
  return new KeysteadError(
    "CONFLICT",
    `a ${kind} job works on dataset ${name}; wait for it, or for ${String(leaseMilliseconds / 1000)} s if its host is gone`,
  );
}
