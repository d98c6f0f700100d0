import { setImmediate as nextTurn } from "node:timers/promises";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { type Census, takeCensus } from "./census.ts";
import type { Databases } from "./databases.ts";
import type { Dataset } from "./dataset-records.ts";
import type { DatasetWorker } from "./dataset-worker.ts";
import { leaseMilliseconds } from "./job-lease.ts";
import type { RunOptions } from "./job-options.ts";
import { beginPass, isUnopened, type JobProgress, keptProblems, resumeProgress, type RowProblem } from "./job-progress.ts";
import type { JobRecord } from "./job-record.ts";
import { jobRules } from "./job-rules.ts";
import type { JobKind } from "./row-tasks.ts";
import type { DatasetSource, RowReplacement, SourcePage, SourceRow } from "./source.ts";

const pageRows = 500;
const saveMilliseconds = 1000;
const mostPasses = 20;

/** How a job ended. `census` is taken after it; absent for a dry run or a paused job. */
export interface JobResult {
  readonly id: string;
  readonly dataset: string;
  readonly kind: JobKind;
  /**
   * `done`: whatever could be done is; `progress.problems` counts what was left alone. `incomplete`: what was left alone keeps a
   * `recontext` under way; both contexts are accepted until it is run again and nothing is left.
   */
  readonly state: "done" | "incomplete" | "paused";
  readonly progress: JobProgress;
  readonly census?: Census;
}

/** What a {@link JobRun} works with. */
export interface JobParts {
  readonly engine: Engine;
  readonly databases: Databases;
  readonly dataset: Dataset;
  readonly kind: JobKind;
  readonly source: DatasetSource;
  readonly worker: DatasetWorker;
  readonly record: JobRecord;
  /** Rows in the table. */
  readonly rows: number;
}

/**
 * The one loop behind every job on a dataset. Ciphertext names its version, so a job that was killed anywhere is run again:
 * nothing is lost and nothing is replaced twice. A pass over the table is repeated while the application changed rows
 * under it; the census has the last word.
 */
export class JobRun {
  readonly #parts: JobParts;
  readonly #options: RunOptions;
  #progress: JobProgress;
  #savedAt: number;

  /** Goes on from the progress of the record. */
  constructor(parts: JobParts, options: RunOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#progress = resumeProgress(parts.record.progress, parts.rows);
    this.#savedAt = parts.engine.clock.monotonic();
  }

  /**
   * Passes over the table until nothing is left that can be done.
   * @throws KeysteadError `JOB_INCOMPLETE` when the application keeps undoing it, `CONFLICT` when another process took it over
   */
  async passes(): Promise<JobResult> {
    const { dataset, kind, record } = this.#parts;
    if (this.#options.dryRun !== true) await record.save("running", this.#progress, (tables) => jobRules[kind].begin(tables, dataset));
    for (let passes = 1; ; passes += 1) {
      const { replaced, cursor } = this.#progress;
      const finished = await this.#pass();
      if (!finished) return this.#end("paused");
      if (this.#options.dryRun === true) return this.#end("done");
      const census = await this.#census();
      if (census === undefined) return this.#end("paused");
      const idle = cursor === null && this.#progress.replaced === replaced;
      if (this.#isDone(census, idle)) return this.#end(this.#leavesWork ? "incomplete" : "done", census);
      const { pass } = this.#progress;
      this.#progress = beginPass(this.#progress, pass + 1);
      if (passes >= mostPasses) {
        await this.#save("paused");
        throw new KeysteadError(
          "JOB_INCOMPLETE",
          `after ${String(pass)} passes over dataset ${this.#parts.dataset.name} there is still work: the application keeps writing such rows; ` +
            "make it write through the current key, then run the job again",
        );
      }
      await this.#save("running");
    }
  }

  /** @param idle the pass was a whole one and replaced nothing: what is left are rows that can't be worked on */
  #isDone(census: Census, idle: boolean): boolean {
    const { remaining, endsIdle } = jobRules[this.#parts.kind];
    const { changed, problems } = this.#progress;
    const left = remaining(census, this.#options);
    return changed === 0 && (idle ? left <= problems : left === 0 && !endsIdle);
  }

  async #end(state: JobResult["state"], census?: Census): Promise<JobResult> {
    const { dataset, kind, record } = this.#parts;
    const progress = this.#progress;
    await this.#save(state === "incomplete" ? "done" : state, census);
    const result = { id: record.id, dataset: dataset.name, kind, state, progress };
    return census === undefined ? result : { ...result, census };
  }

  /** One pass over the table, from the cursor; false when the signal paused it. */
  async #pass(): Promise<boolean> {
    const { clock } = this.#parts.engine;
    const began = clock.monotonic();
    let rows = 0;
    for (;;) {
      if (this.#isAborted) return false;
      const page = await this.#readPage();
      await this.#workOn(page.rows, page.next ?? null);
      rows += page.rows.length;
      this.#options.onProgress?.(this.#progress);
      if (page.next === undefined) return true;
      if (clock.monotonic() - this.#savedAt >= saveMilliseconds) await this.#save("running");
      await this.#throttle(rows, clock.monotonic() - began);
      // Signals, refreshes of keys and the application's own turns come between pages.
      await nextTurn();
    }
  }

  /** The page at the cursor; the first one when the table was made anew since the cursor was saved. */
  async #readPage(): Promise<SourcePage> {
    const { source } = this.#parts;
    const { cursor, pass } = this.#progress;
    // A throttled job reads small pages: the time that it waits between them is less than its lease.
    const limit = Math.min(pageRows, this.#options.rowsPerSecond ?? pageRows);
    try {
      return await source.readPage(cursor ?? undefined, limit);
    } catch (error) {
      if (cursor === null || !isKeysteadError(error, "INVALID_ARGUMENT")) throw error;
      this.#progress = beginPass(this.#progress, pass);
      return source.readPage(undefined, limit);
    }
  }

  async #workOn(rows: readonly SourceRow[], next: string | null): Promise<void> {
    const { source, worker } = this.#parts;
    await worker.prepare();
    const changes: { readonly row: SourceRow; readonly replacement: RowReplacement; readonly values: number }[] = [];
    const problems: RowProblem[] = [];
    const tokenProblems: RowProblem[] = [];
    for (const row of rows) {
      const { replacement, values, problems: found } = await worker.work(row);
      problems.push(...found.values);
      tokenProblems.push(...found.tokens);
      if (replacement !== undefined) changes.push({ row, replacement, values });
    }
    const replacements = changes.map(({ replacement }) => replacement);
    const outcomes = this.#options.dryRun === true ? replacements.map(() => "replaced" as const) : await source.replace(replacements);
    const counts = { replaced: 0, changed: 0, values: 0 };
    for (const [position, { row, replacement, values }] of changes.entries()) {
      const outcome = outcomes[position];
      if (outcome === undefined) throw new KeysteadError("INTERNAL", "a database answered for fewer rows than it was given");
      if (typeof outcome === "object") {
        const refused = worker.refused(row, replacement, outcome.error);
        problems.push(...refused.values);
        tokenProblems.push(...refused.tokens);
        continue;
      }
      counts[outcome] += 1;
      if (outcome === "replaced") counts.values += values;
    }
    const progress = this.#progress;
    this.#progress = {
      ...progress,
      scanned: progress.scanned + rows.length,
      replaced: progress.replaced + counts.replaced,
      values: progress.values + counts.values,
      changed: progress.changed + counts.changed,
      problems: progress.problems + problems.length + tokenProblems.length,
      tokenProblems: progress.tokenProblems + tokenProblems.length,
      unopened: progress.unopened + problems.filter(isUnopened).length,
      firstProblems: [...progress.firstProblems, ...problems, ...tokenProblems].slice(0, keptProblems),
      cursor: next,
    };
  }

  /** Counts the dataset; undefined when the signal stopped that. Counting may take longer than a lease, which is renewed. */
  async #census(): Promise<Census | undefined> {
    const { engine, databases, dataset } = this.#parts;
    let saving = Promise.resolve();
    const timer = setInterval(() => {
      // A lease that was lost shows when the job is saved next.
      saving = saving.then(() => this.#save("running")).catch(() => undefined);
    }, leaseMilliseconds / 3);
    try {
      return await takeCensus(engine, databases, dataset, this.#options.signal);
    } catch (error) {
      if (this.#isAborted && isKeysteadError(error, "CANCELLED")) return undefined;
      throw error;
    } finally {
      clearInterval(timer);
      await saving;
    }
  }

  async #save(state: "running" | "paused" | "done", census?: Census): Promise<void> {
    const { engine, dataset, kind, record } = this.#parts;
    const progress = this.#progress;
    this.#savedAt = engine.clock.monotonic();
    await record.save(state, progress, async (tables) => {
      if (census !== undefined && !this.#leavesWork) await jobRules[kind].finish(tables, dataset, { census, progress });
    });
  }

  async #throttle(rows: number, elapsed: number): Promise<void> {
    const { rowsPerSecond, signal } = this.#options;
    if (rowsPerSecond === undefined) return;
    const ahead = (rows / rowsPerSecond) * 1000 - elapsed;
    if (ahead <= 0) return;
    await this.#parts.engine.clock.wait(ahead, signal).catch((error: unknown) => {
      if (!this.#isAborted) throw error;
    });
  }

  get #leavesWork(): boolean {
    return jobRules[this.#parts.kind].leavesWork(this.#progress, this.#options);
  }

  get #isAborted(): boolean {
    return this.#options.signal?.aborted === true;
  }
}
