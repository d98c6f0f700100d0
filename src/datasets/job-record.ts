import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { type Dataset, findDataset } from "./dataset-records.ts";
import { isLeased, leaseMilliseconds, leaseOwner } from "./job-lease.ts";
import { initialProgress, type JobProgress, withoutCursor } from "./job-progress.ts";
import type { JobKind } from "./row-tasks.ts";

/** Where a job stands. The next run of its kind goes on with a paused one. */
type JobState = "running" | "paused" | "done";

/**
 * A job in the store, leased by this process so that two processes don't do the same work. Of a dry run the store learns only
 * that it is there: nothing goes on from where it stood.
 */
export class JobRecord {
  readonly #engine: Engine;
  readonly #dryRun: boolean;
  #row: StoredRecord<"jobs">;
  /** As it is at the moment of the claim. From then on another template may be announced, but nothing moves before this job ends. */
  readonly dataset: Dataset;

  private constructor(engine: Engine, dryRun: boolean, row: StoredRecord<"jobs">, dataset: Dataset) {
    this.#engine = engine;
    this.#dryRun = dryRun;
    this.#row = row;
    this.dataset = dataset;
  }

  /**
   * Takes over an unfinished job of the same kind, or begins one.
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT` while another process works on the dataset
   */
  static claim(engine: Engine, name: string, kind: JobKind, dryRun: boolean): Promise<JobRecord> {
    return engine.store.transaction(async (tables) => {
      const dataset = await findDataset(tables, name);
      const row = await claimRow(engine, tables, dataset, kind, dryRun);
      return new JobRecord(engine, dryRun, row, dataset);
    });
  }

  get id(): string {
    return this.#row.id;
  }

  /** Progress of the run before, as JSON text. */
  get progress(): string {
    return this.#row.progress;
  }

  /**
   * Saves progress and renews the lease, or gives it back.
   * @param alongside changed in the same transaction
   * @throws KeysteadError `CONFLICT` when another process took the job over, which happens to one that stood still for long
   */
  async save(state: JobState, progress: JobProgress, alongside?: (tables: StoreTables) => Promise<void>): Promise<void> {
    const { clock, store } = this.#engine;
    const updatedAt = clock.now();
    const lease = state === "running" ? { leaseUntil: updatedAt + leaseMilliseconds } : noLease;
    const saved = this.#dryRun ? { state: state === "paused" ? "cancelled" : state } : { state, progress: JSON.stringify(progress) };
    this.#row = await store.transaction(async (tables) => {
      await alongside?.(tables);
      return tables.jobs.update({ ...this.#row, ...saved, updatedAt, ...lease });
    });
  }

  /** Gives the lease back after a failure, so that the job can be run again at once. */
  async release(): Promise<void> {
    if (this.#row.state !== "running") return;
    const row = { ...this.#row, ...noLease, state: this.#dryRun ? "cancelled" : "paused", updatedAt: this.#engine.clock.now() };
    // What the failure was may keep this from succeeding, too; then the lease runs out.
    await this.#engine.store.transaction((tables) => tables.jobs.update(row)).catch(() => undefined);
  }
}

/**
 * The unfinished jobs of a dataset that nobody works on.
 * @throws KeysteadError `CONFLICT` while somebody works on one
 */
export async function assertIdle(tables: StoreTables, { id, name }: Dataset, now: number): Promise<StoredRecord<"jobs">[]> {
  const jobs = await tables.jobs.list({ datasetId: id });
  const unfinished = jobs.filter((job) => job.state === "running" || job.state === "paused");
  const leased = unfinished.find((job) => isLeased(job, now));
  if (leased === undefined) return unfinished;
  throw new KeysteadError(
    "CONFLICT",
    `a ${leased.kind} job works on dataset ${name}; wait for it, or for ${String(leaseMilliseconds / 1000)} s if its host is gone`,
  );
}

/**
 * Before a definition changes what jobs do to rows: those that are to go on will read the whole table again, and a process
 * that stood still and still holds one can't save it any more.
 * @throws KeysteadError `CONFLICT` while somebody works on one
 */
export async function restartUnfinishedJobs(tables: StoreTables, dataset: Dataset, now: number): Promise<void> {
  for (const job of await assertIdle(tables, dataset, now))
    await tables.jobs.update({ ...job, ...noLease, state: "paused", progress: withoutCursor(job.progress), updatedAt: now });
}

const noLease = { leaseOwner: null, leaseUntil: null } as const;

async function claimRow(
  { clock, random }: Engine,
  tables: StoreTables,
  dataset: Dataset,
  kind: JobKind,
  dryRun: boolean,
): Promise<StoredRecord<"jobs">> {
  const now = clock.now();
  const unfinished = await assertIdle(tables, dataset, now);
  const lease = { leaseOwner: leaseOwner(), leaseUntil: now + leaseMilliseconds, updatedAt: now };
  const previous = dryRun ? undefined : unfinished.find((job) => job.kind === kind);
  if (previous !== undefined) return tables.jobs.update({ ...previous, ...lease, state: "running" });
  const progress = JSON.stringify(initialProgress);
  return tables.jobs.insert({ id: randomUuid(random), datasetId: dataset.id, kind, state: "running", progress, createdAt: now, ...lease });
}
