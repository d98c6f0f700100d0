import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import type { Codec } from "./codec.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { DatasetWorker } from "./dataset-worker.ts";
import { ForeignValues, withRowColumns } from "./foreign-values.ts";
import { openIndexes } from "./index-generations.ts";
import { DatasetKeys } from "./job-keys.ts";
import { JobRecord } from "./job-record.ts";
import type { JobOptions, RunOptions } from "./job-options.ts";
import { type JobResult, JobRun } from "./job-run.ts";
import type { JobKind } from "./row-tasks.ts";

const mostRowsPerSecond = 1_000_000;

/** Runs jobs: one at a time on a dataset, whatever its kind and in which process. */
export class JobRunner {
  readonly #engine: Engine;
  readonly #databases: Databases;
  readonly #codecs: Codecs;

  constructor(engine: Engine, databases: Databases, codecs: Codecs) {
    this.#engine = engine;
    this.#databases = databases;
    this.#codecs = codecs;
  }

  /**
   * Runs a job to its end, or goes on with one of the same kind that was paused, killed or failed.
   * @param adapt what a dry run is to find in place of the stored definition
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT` while another process works on it, `JOB_INCOMPLETE` when the application
   *   keeps undoing it; `UNKNOWN_CODEC` and what opening a codec says
   */
  async run(name: string, kind: JobKind, options: RunOptions, adapt?: (dataset: Dataset) => Promise<Dataset>): Promise<JobResult> {
    checkOptions(options);
    const codec = options.from === undefined ? undefined : await this.#codecs.open(options.from);
    try {
      const record = await JobRecord.claim(this.#engine, name, kind, options.dryRun === true);
      try {
        return await this.#runClaimed(record, kind, options, (await adapt?.(record.dataset)) ?? record.dataset, codec);
      } finally {
        await record.release();
      }
    } finally {
      codec?.close();
    }
  }

  async #runClaimed(record: JobRecord, kind: JobKind, options: RunOptions, dataset: Dataset, codec?: Codec): Promise<JobResult> {
    const engine = this.#engine;
    const databases = this.#databases;
    const layout = withRowColumns(layoutOf(dataset.definition), codec?.rowColumns ?? []);
    const source = await databases.open(dataset.definition.database, layout);
    const keys = new DatasetKeys(engine, dataset.id, "reencrypt");
    try {
      await engine.registry.refresh();
      const { forms, rows, types } = await source.describe();
      const indexes = await openIndexes(engine, dataset, keys);
      const foreign = codec && new ForeignValues(codec, options, dataset, types);
      const worker = new DatasetWorker({ engine, dataset, kind, forms, indexes, keys, foreign });
      return await new JobRun({ engine, databases, dataset, kind, source, worker, record, rows }, options).passes();
    } finally {
      await keys.close();
      await source.close();
    }
  }
}

function checkOptions({ rowsPerSecond: rate }: JobOptions): void {
  if (rate !== undefined && (!Number.isSafeInteger(rate) || rate < 1 || rate > mostRowsPerSecond)) {
    throw new KeysteadError("INVALID_ARGUMENT", `a job is throttled to 1 to ${String(mostRowsPerSecond)} rows a second, in whole numbers`);
  }
}
