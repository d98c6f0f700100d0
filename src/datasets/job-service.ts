import { assertArguments, callback, flag, having, number, object, optional, type Shape, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { asked } from "../keys/audited.ts";
import type { Engine } from "../keys/engine.ts";
import { instant } from "../keys/key-records.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { askedOnDataset, auditedOnDataset, type DatasetAct } from "./dataset-acts.ts";
import { type Dataset, findDataset, listDatasets, readDataset } from "./dataset-records.ts";
import { type JobWorkerInfo, workerInfo } from "./job-lease.ts";
import type { JobOptions } from "./job-options.ts";
import { estimateRest, initialProgress, type JobProgress } from "./job-progress.ts";
import { columnsOf, withoutRanges } from "./job-record.ts";
import type { JobResult } from "./job-run.ts";
import { JobRunner } from "./job-runner.ts";
import { isUnfinished, jobState, type JobState } from "./job-state.ts";
import { conditionsOf, isDryRun } from "./job-terms.ts";
import { type JobPace, liveWorkers, readWork } from "./job-work.ts";
import type { JobKind } from "./row-tasks.ts";

/** A job as it stands in the store. */
export interface JobInfo {
  readonly id: string;
  readonly dataset: string;
  readonly kind: JobKind;
  /** `running` with no workers: they were killed; run it again. */
  readonly state: JobState;
  readonly dryRun: boolean;
  readonly progress: JobProgress;
  /** Milliseconds that the rest of this pass may take, at its speed so far; absent while nobody works on it and before it has read rows. */
  readonly restMilliseconds?: number;
  /** Rows a second, all workers together. */
  readonly rowsPerSecond?: number;
  readonly latencyGuard?: number;
  readonly problemLimit?: number;
  readonly workers: readonly JobWorkerInfo[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** How {@link JobService.resume} goes on with a job. */
export interface ResumeOptions extends Omit<JobOptions, "dryRun"> {
  /** Only the job with this id, and only while others work on it: `CONFLICT` otherwise. */
  readonly job?: string;
}

const signal = optional(having("an AbortSignal", "addEventListener", "throwIfAborted"));
/** Shape of {@link JobOptions}. */
export const jobShape: Shape<JobOptions> = {
  onProgress: optional(callback),
  onProblems: optional(callback),
  signal,
  rowsPerSecond: optional(number),
  latencyGuard: optional(number),
  problemLimit: optional(number),
  dryRun: optional(flag),
};
const { dryRun: _dryRun, ...paceShape } = jobShape;
const resumeShape: Shape<ResumeOptions> = { ...paceShape, job: optional(text) };
const rules = { dataset: { dataset: text }, resume: { dataset: text, options: optional(object(resumeShape)) } } as const;

/** Jobs on datasets, wherever they run: what they do, and telling their workers to stop. On a dataset there is one at a time. */
export class JobService {
  readonly #engine: Engine;
  readonly #runner: JobRunner;
  readonly #asked: Resumable | undefined;

  /** @param asked the job that somebody was asked for already, who would go on with it: no other is gone on with */
  constructor(engine: Engine, databases: Databases, codecs: Codecs, asked?: Resumable) {
    this.#engine = engine;
    this.#asked = asked;
    this.#runner = new JobRunner(engine, databases, codecs);
  }

  /** Every job that the store remembers, the newest first. */
  list(): Promise<JobInfo[]> {
    const now = this.#engine.clock.now();
    return asked(this.#engine, { action: "jobs.list", terms: {} }, () =>
      this.#engine.store.read(async (tables) => {
        const datasets = new Map((await listDatasets(tables)).map((dataset) => [dataset.id, dataset]));
        const jobs = (await tables.jobs.list()).sort(newestFirst);
        return jobs.map((row) => describeJob(row, datasets.get(row.datasetId)?.name ?? row.datasetId, now));
      }),
    );
  }

  /** The newest job on a dataset. @throws KeysteadError `UNKNOWN_DATASET`, `UNKNOWN_JOB` */
  show(dataset: string): Promise<JobInfo> {
    assertArguments({ dataset }, rules.dataset);
    const now = this.#engine.clock.now();
    return askedOnDataset(this.#engine, { action: "jobs.show", dataset, terms: {} }, () =>
      this.#engine.store.read(async (tables) => {
        const found = await findDataset(tables, dataset);
        return describeJob(await newestJob(tables, found), dataset, now);
      }),
    );
  }

  /**
   * Tells all workers to stop after the rows at hand, which they hear within about a second. The job goes on by {@link resume}, or when
   * one of its kind is run.
   * @throws KeysteadError `UNKNOWN_DATASET`, `UNKNOWN_JOB`, `CONFLICT` when the job does not run
   */
  pause(dataset: string): Promise<JobInfo> {
    return this.#stop("pause", dataset, (row) => row.state === "running");
  }

  /**
   * As {@link pause}, for good: nothing goes on from where it stood. What it did stays: ciphertext of both kinds opens, and the next job
   * takes up what is left. A `recontext` stays under way until it is run to its end, in either direction.
   * @throws KeysteadError `UNKNOWN_DATASET`, `UNKNOWN_JOB`, `CONFLICT` when it has ended
   */
  cancel(dataset: string): Promise<JobInfo> {
    return this.#stop("cancel", dataset, isUnfinished);
  }

  /**
   * Goes on with the newest job of a dataset, as it was begun, or joins its workers: the same as running it again, without saying
   * what it was.
   * @param options `job`: only the job with this id, and only while others work on it
   * @throws KeysteadError `UNKNOWN_DATASET`, `UNKNOWN_JOB`, `CONFLICT` when it has ended, and as the job's own method
   */
  async resume(dataset: string, options: ResumeOptions = {}): Promise<JobResult> {
    assertArguments({ dataset, options }, rules.resume);
    const { job, ...jobOptions } = options;
    const resumable = this.#asked ?? (await findResumable(this.#engine, dataset));
    return auditedOnDataset(
      this.#engine,
      resumeAct(dataset, resumable, options),
      async () => {
        const { row, pace, terms } = await this.#engine.store.read(async (tables) => {
          const found = await newestJob(tables, await findDataset(tables, dataset));
          const work = readWork(found.progress);
          if (work === undefined || !isUnfinished(found) || isDryRun(work)) throw ended(found, dataset);
          if (found.id !== resumable?.job)
            throw new KeysteadError(
              "CONFLICT",
              `another job took its place on dataset ${dataset} meanwhile; look at it, then go on with it`,
            );
          return { row: found, pace: paceOptions(work.pace), terms: conditionsOf(work) };
        });
        const rule = { job: job ?? row.id, onlyRunning: job !== undefined };
        return this.#runner.run(dataset, kindOf(row), { ...terms, ...pace, ...jobOptions }, rule);
      },
      ({ id, kind, state, progress }) => ({
        detail: { job: id, kind, state, rows: progress.replaced, values: progress.values, problems: progress.problems },
      }),
    );
  }

  async #stop(act: "pause" | "cancel", dataset: string, isStoppable: (row: StoredRecord<"jobs">) => boolean): Promise<JobInfo> {
    assertArguments({ dataset }, rules.dataset);
    const { clock, store } = this.#engine;
    return auditedOnDataset(
      this.#engine,
      { action: `jobs.${act}`, dataset, terms: {} },
      () =>
        store.transaction(async (tables) => {
          const now = clock.now();
          const row = await newestJob(tables, await findDataset(tables, dataset));
          const work = readWork(row.progress);
          if (work === undefined || !isStoppable(row)) throw ended(row, dataset);
          const paused = act === "pause" && !isDryRun(work);
          // Those at work stay named until they have heard of it, so that nobody begins another job beside them.
          const columns = paused
            ? columnsOf("paused", work, now)
            : columnsOf("cancelled", { ...withoutRanges(work), workers: liveWorkers(work, now) }, now);
          return describeJob(await tables.jobs.update({ ...row, ...columns }), dataset, now);
        }),
      ({ id, kind }) => ({ detail: { job: id, kind } }),
    );
  }
}

function describeJob(row: StoredRecord<"jobs">, dataset: string, now: number): JobInfo {
  const work = readWork(row.progress);
  const base = {
    id: row.id,
    dataset,
    kind: kindOf(row),
    state: jobState(row),
    createdAt: instant(row.createdAt),
    updatedAt: instant(row.updatedAt),
  };
  if (work === undefined) return { ...base, dryRun: false, progress: initialProgress, workers: [] };
  const { progress, run } = work;
  const live = liveWorkers(work, now);
  const rest =
    base.state === "running" && live.length > 0
      ? estimateRest({ scanned: progress.scanned - run.scanned, total: progress.total - run.scanned }, row.updatedAt - run.at)
      : undefined;
  return {
    ...base,
    dryRun: isDryRun(work),
    progress,
    ...(rest !== undefined && { restMilliseconds: Math.round(rest) }),
    ...paceOptions(work.pace),
    workers: live.map(({ owner }) => workerInfo(owner)),
  };
}

function paceOptions({
  rowsPerSecond,
  latencyGuard,
  problemLimit,
}: JobPace): Pick<JobInfo, "rowsPerSecond" | "latencyGuard" | "problemLimit"> {
  return { ...(rowsPerSecond !== null && { rowsPerSecond }), ...(latencyGuard !== null && { latencyGuard }), problemLimit };
}

const kinds: Readonly<Record<string, JobKind>> = {
  protect: "protect",
  reencrypt: "reencrypt",
  import: "import",
  recontext: "recontext",
  unprotect: "unprotect",
  index: "index",
  verify: "verify",
  erase: "erase",
};

function kindOf({ kind }: StoredRecord<"jobs">): JobKind {
  const known = kinds[kind];
  if (known === undefined)
    throw new KeysteadError("STORE_SCHEMA_NEWER", "the store has a job of a kind that this version does not know: upgrade Keystead");
  return known;
}

/** A job that somebody would go on with. */
export interface Resumable {
  readonly job: string;
  readonly kind: JobKind;
}

/** The job of a dataset that is not finished. */
export function findResumable({ store }: Engine, dataset: string): Promise<Resumable | undefined> {
  return store.read(async (tables) => {
    const found = await readDataset(tables, dataset);
    const newest = found && (await lookUpNewest(tables, found));
    return newest === undefined || !isUnfinished(newest) ? undefined : { job: newest.id, kind: kindOf(newest) };
  });
}

/** The act of going on with it: whoever does must be allowed to begin it. @param given - what the caller says besides */
export function resumeAct(dataset: string, found: Resumable | undefined, given: object): DatasetAct {
  const also = found === undefined ? [] : beginnings[found.kind];
  return { action: "jobs.resume", dataset, terms: { ...given, ...(found !== undefined && { resumed: found }) }, also };
}

/** By which actions a job of a kind is begun. */
const beginnings: Readonly<Record<JobKind, readonly string[]>> = {
  protect: ["datasets.protect"],
  reencrypt: ["datasets.reencrypt"],
  import: ["datasets.import"],
  recontext: ["datasets.recontext"],
  unprotect: ["datasets.unprotect"],
  index: ["datasets.index"],
  verify: ["datasets.verify"],
  erase: ["datasets.erase-column", "datasets.protect", "datasets.erase"],
};

async function lookUpNewest(tables: StoreTables, { id }: Dataset): Promise<StoredRecord<"jobs"> | undefined> {
  return (await tables.jobs.list({ datasetId: id })).sort(newestFirst)[0];
}

async function newestJob(tables: StoreTables, dataset: Dataset): Promise<StoredRecord<"jobs">> {
  const newest = await lookUpNewest(tables, dataset);
  if (newest !== undefined) return newest;
  throw new KeysteadError(
    "UNKNOWN_JOB",
    `no job was ever run on dataset ${dataset.name}: begin one, for example \`keystead datasets verify ${dataset.name}\``,
  );
}

/** One that is not finished comes before all others: it is what can be paused, resumed and cancelled. */
function newestFirst(a: StoredRecord<"jobs">, b: StoredRecord<"jobs">): number {
  return Number(isUnfinished(b)) - Number(isUnfinished(a)) || b.createdAt - a.createdAt || b.updatedAt - a.updatedAt;
}

function ended(row: StoredRecord<"jobs">, dataset: string): KeysteadError {
  return new KeysteadError(
    "CONFLICT",
    `the newest job on dataset ${dataset}, ${row.kind}, is ${jobState(row)}: begin another with \`keystead datasets\``,
  );
}
