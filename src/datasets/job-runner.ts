import type { Engine } from "../keys/engine.ts";
import type { Codec } from "./codec.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { DatasetWorker } from "./dataset-worker.ts";
import { ForeignValues, withRowColumns } from "./foreign-values.ts";
import { openIndexes } from "./index-generations.ts";
import { DatasetKeys } from "./job-keys.ts";
import { checkPace, type RunOptions } from "./job-options.ts";
import { JobRecord, type JoinRule } from "./job-record.ts";
import { type JobResult, JobRun } from "./job-run.ts";
import { termsOf } from "./job-terms.ts";
import type { JobKind } from "./row-tasks.ts";

/** Between two looks at the job, whatever the worker does at the moment. */
const attendMilliseconds = 1_000;

/** Runs jobs. On a dataset there is one at a time, with as many workers as there are processes that run it. */
export class JobRunner {
  readonly #engine: Engine;
  readonly #databases: Databases;
  readonly #codecs: Codecs;
  readonly #onJoin: (id: string) => void;

  /** @param onJoin told of each job that is joined, before any work on it */
  constructor(engine: Engine, databases: Databases, codecs: Codecs, onJoin: (id: string) => void = () => undefined) {
    this.#engine = engine;
    this.#databases = databases;
    this.#codecs = codecs;
    this.#onJoin = onJoin;
  }

  /**
   * Works on a job until its end: joins one of the same kind and terms that runs, goes on with one that was paused, killed or failed,
   * or begins one.
   * @param rule which job that may be
   * @param adapt what a dry run is to find in place of the stored definition
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT` while others work on it in another way, `JOB_INCOMPLETE` when the application
   *   keeps undoing it; `UNKNOWN_CODEC` and what opening a codec says
   */
  async run(
    name: string,
    kind: JobKind,
    options: RunOptions,
    rule: JoinRule = {},
    adapt?: (dataset: Dataset) => Promise<Dataset>,
  ): Promise<JobResult> {
    checkPace(options);
    const codec = options.from === undefined ? undefined : await this.#codecs.open(options.from);
    try {
      const record = await JobRecord.join(this.#engine, name, termsOf(kind, options), options, rule);
      this.#onJoin(record.id);
      // What the database takes long for must not cost the lease, nor keep this worker from hearing that it is to stop.
      const attending = setInterval(() => void record.attend().catch(() => undefined), attendMilliseconds);
      try {
        return await this.#work(record, kind, options, (await adapt?.(record.dataset)) ?? record.dataset, codec);
      } finally {
        clearInterval(attending);
        // What the failure was may keep this from succeeding, too; then the lease runs out.
        await record.leave().catch(() => undefined);
      }
    } finally {
      codec?.close();
    }
  }

  async #work(record: JobRecord, kind: JobKind, options: RunOptions, dataset: Dataset, codec?: Codec): Promise<JobResult> {
    const engine = this.#engine;
    const databases = this.#databases;
    const layout = withRowColumns(layoutOf(dataset.definition), codec?.rowColumns ?? []);
    const source = await databases.open(dataset.definition.database, layout);
    const keys = new DatasetKeys(engine, dataset, { action: `datasets.${kind}`, opening: "reencrypt" });
    try {
      await engine.registry.refresh();
      const { forms, rows, types } = await source.describe();
      await record.begin(rows);
      const indexes = await openIndexes(engine, dataset, keys);
      const foreign = codec && new ForeignValues(codec, options, dataset, types);
      const worker = new DatasetWorker({ engine, dataset, kind, forms, indexes, keys, foreign });
      return await new JobRun({ engine, databases, dataset, kind, source, worker, record }, options).work();
    } finally {
      await keys.close();
      await source.close();
    }
  }
}
