import { setImmediate as nextTurn } from "node:timers/promises";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { type Census, takeCensus } from "./census.ts";
import type { Databases } from "./databases.ts";
import type { Dataset } from "./dataset-records.ts";
import type { DatasetWorker } from "./dataset-worker.ts";
import type { RunOptions } from "./job-options.ts";
import { type PageWork, Pacer } from "./job-pace.ts";
import { addCounts, isUnopened, type JobProgress, noCounts, type RowCounts, type RowProblem } from "./job-progress.ts";
import type { JobRecord } from "./job-record.ts";
import { jobRules } from "./job-rules.ts";
import type { JobRange } from "./job-work.ts";
import type { JobKind } from "./row-tasks.ts";
import type { Cursor, DatasetSource, RowReplacement, SourceRow } from "./source.ts";

const pageRows = 500;
/** Rows that a worker takes at a time: at most about a second of work, and of a small table so many that there is some for each. */
const mostRangeRows = 10_000;
const rangesPerTable = 32;
const saveMilliseconds = 1_000;
/** How long a worker waits that has nothing to do while others are at work. */
const pollMilliseconds = 250;
const mostPasses = 20;
/** How often this worker begins a pass anew because the table is another one. */
const mostRestarts = 20;

/** How a job ended. `census` is taken after it, by the worker that ended it; absent for a dry run and a job that was stopped. */
export interface JobResult {
  readonly id: string;
  readonly dataset: string;
  readonly kind: JobKind;
  /**
   * `done`: whatever could be done is; `progress.problems` counts what was left alone. `incomplete`: what was left alone keeps a
   * `recontext` under way; both contexts are accepted until it is run again and nothing is left. `failed`: it met more problems than
   * its limit and stopped. `paused` and `failed` jobs go on when they are run again; `cancelled` ones, and dry runs, begin anew.
   */
  readonly state: "done" | "incomplete" | "paused" | "failed" | "cancelled";
  readonly dryRun: boolean;
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
}

/**
 * The one loop behind every job on a dataset, as one of its workers runs it. Ciphertext names its version, so a job that was killed
 * anywhere is run again: nothing is lost and nothing is replaced twice. A pass over the table is repeated while the application
 * changed rows under it; the census has the last word.
 */
export class JobRun {
  readonly #parts: JobParts;
  readonly #options: RunOptions;
  readonly #pacer: Pacer;
  /** Milliseconds to wait before the next page. */
  #delay = 0;
  /** Rows of the next page at most: not many more than fitted into the last one, because the database looks at all that it is asked for. */
  #mostRows = pageRows;
  #restarts = 0;

  constructor(parts: JobParts, options: RunOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#pacer = new Pacer(parts.engine.clock);
  }

  /**
   * Works until the job is at its end or stopped, or this worker's signal comes.
   * @throws KeysteadError `JOB_INCOMPLETE` when the application keeps undoing it, or makes the table anew all the time
   */
  async work(): Promise<JobResult> {
    const { record, source, engine } = this.#parts;
    const boundary = (after: Cursor | undefined): Promise<Cursor | undefined> =>
      this.#orRestart(after !== undefined, () => source.skip(after, this.#rangeRows));
    for (;;) {
      if (this.#isAborted) return await this.#leave();
      const task = await record.next(boundary);
      if (task === undefined) return this.#result();
      if (task.task === "range") await this.#workOnRange(task.range);
      else if (task.task === "wait") await engine.clock.wait(pollMilliseconds, this.#options.signal).catch(() => undefined);
      else {
        const result = await this.#endPass();
        if (result !== undefined) return result;
      }
    }
  }

  async #leave(): Promise<JobResult> {
    await this.#parts.record.leave();
    const { state } = this.#parts.record.view;
    return state === "running" ? { ...this.#result(), state: "paused" } : this.#result();
  }

  /** Page by page through a range, until it is done or this worker is to leave it. */
  async #workOnRange(range: JobRange): Promise<void> {
    const { engine, record } = this.#parts;
    const { clock } = engine;
    const { pass } = record.view.progress;
    let counts = noCounts;
    let savedAt = clock.monotonic();
    for (let cursor = range.after; ;) {
      await this.#rest();
      if (this.#isAborted) {
        if (cursor !== null) await record.report(range, pass, counts, cursor);
        return;
      }
      const { pace, workers, progress } = record.view;
      const began = clock.monotonic();
      const limit = this.#pacer.pageRows(this.#mostRows, pace, workers);
      const page = await this.#orRestart(cursor !== null || range.until !== null, () =>
        this.#parts.source.readPage(cursor ?? undefined, limit, range.until ?? undefined),
      );
      if (page === undefined) return;
      const read: PageWork = { kind: "read", rows: page.rows.length, took: clock.monotonic() - began };
      const { counts: further, written } = await this.#workOn(page.rows);
      counts = addCounts(counts, further);
      this.#delay = this.#pacer.delayAfter(page.rows.length, [read, written], pace, workers);
      this.#options.onProgress?.(addCounts(progress, counts));
      if (page.next === undefined) {
        await record.finish(range, pass, counts);
        return;
      }
      cursor = page.next;
      this.#mostRows = Math.min(pageRows, Math.max(1, page.rows.length * 2));
      if (clock.monotonic() - savedAt >= saveMilliseconds) {
        if (!(await record.report(range, pass, counts, cursor))) return;
        counts = noCounts;
        savedAt = clock.monotonic();
      }
      // Signals, refreshes of keys and the application's own turns come between pages.
      await nextTurn();
    }
  }

  /** What reads a place of the table; undefined when the table was made anew since the place was saved: then the pass begins again. */
  async #orRestart<T>(hasPlace: boolean, read: () => Promise<T>): Promise<T | undefined> {
    const { record } = this.#parts;
    const { pass } = record.view.progress;
    try {
      return await read();
    } catch (error) {
      if (!hasPlace || !isKeysteadError(error, "INVALID_ARGUMENT")) throw error;
      this.#restarts += 1;
      if (this.#restarts >= mostRestarts) throw this.#tooManyRestarts(error);
      await record.restartPass(pass);
      return undefined;
    }
  }

  #tooManyRestarts(cause: unknown): KeysteadError {
    return new KeysteadError(
      "JOB_INCOMPLETE",
      `a pass over dataset ${this.#parts.dataset.name} was begun ${String(mostRestarts)} times, because the table was made anew each time: ` +
        "run the job again when nobody does that any more",
      { cause },
    );
  }

  async #workOn(rows: readonly SourceRow[]): Promise<{ readonly counts: RowCounts; readonly written: PageWork }> {
    const { engine, databases, dataset, kind, source, worker } = this.#parts;
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
    const began = engine.clock.monotonic();
    const outcomes = this.#options.dryRun === true ? replacements.map(() => "replaced" as const) : await source.replace(replacements);
    const written: PageWork = { kind: "write", rows: replacements.length, took: engine.clock.monotonic() - began };
    const done = { replaced: 0, changed: 0 };
    let values = 0;
    for (const [position, { row, replacement, values: replaced }] of changes.entries()) {
      const outcome = outcomes[position];
      if (outcome === undefined) throw new KeysteadError("INTERNAL", "a database answered for fewer rows than it was given");
      if (typeof outcome === "object") {
        const refused = worker.refused(row, replacement, outcome.error);
        problems.push(...refused.values);
        tokenProblems.push(...refused.tokens);
        continue;
      }
      done[outcome] += 1;
      if (outcome === "replaced") values += replaced;
    }
    const all = [...problems, ...tokenProblems];
    if (all.length > 0) this.#options.onProblems?.(all);
    const { database } = dataset.definition;
    engine.observer.jobRows({ kind, source: databases.schemeOf(database), read: rows.length, ...done, problems: all.length });
    const counts = {
      ...done,
      scanned: rows.length,
      values,
      problems: all.length,
      tokenProblems: tokenProblems.length,
      unopened: problems.filter(isUnopened).length,
      firstProblems: all,
    };
    return { counts, written };
  }

  /** Counts, and decides whether there is another pass; undefined when there is, or when somebody else is to end this one. */
  async #endPass(): Promise<JobResult | undefined> {
    const { dataset, kind, record } = this.#parts;
    const begun = record.view.progress;
    const isDryRun = this.#options.dryRun === true;
    const census = isDryRun ? undefined : await this.#census();
    if (!isDryRun && census === undefined) return record.view.state === "running" ? await this.#leave() : this.#result();
    if (census !== undefined && !this.#isDone(census, begun)) {
      await this.#beginAnotherPass(begun.pass);
      return undefined;
    }
    await record.endPass("done", async (tables) => {
      if (census !== undefined && !this.#leavesWork) await jobRules[kind].finish(tables, dataset, { census, progress: begun });
    });
    if (record.view.state === "running") return undefined;
    return { ...this.#result(), ...(census !== undefined && { census }) };
  }

  async #beginAnotherPass(pass: number): Promise<void> {
    const { dataset, record } = this.#parts;
    const isLast = pass - record.view.firstPass + 1 >= mostPasses;
    await record.endPass(isLast ? "paused" : "next");
    if (!isLast) return;
    throw new KeysteadError(
      "JOB_INCOMPLETE",
      `after ${String(pass)} passes over dataset ${dataset.name} there is still work: the application keeps writing such rows; ` +
        "make it write through the current key, then run the job again",
    );
  }

  /** A pass that was a whole one and replaced nothing leaves only rows that can't be worked on. */
  #isDone(census: Census, { changed, problems, replaced }: JobProgress): boolean {
    const { remaining, ends } = jobRules[this.#parts.kind];
    const left = remaining(census, this.#options);
    if (changed > 0) return false;
    if (this.#parts.record.view.idle) return left <= problems;
    return ends === "counted" ? left === 0 : ends === "told" && replaced > 0;
  }

  /** Counts the dataset; undefined when that was stopped. */
  async #census(): Promise<Census | undefined> {
    const { engine, databases, dataset, record } = this.#parts;
    const { signal } = this.#options;
    const anyStop = AbortSignal.any(signal === undefined ? [record.stopped] : [record.stopped, signal]);
    try {
      return await takeCensus(engine, databases, dataset, anyStop);
    } catch (error) {
      if (isKeysteadError(error, "CANCELLED") && anyStop.aborted) return undefined;
      throw error;
    }
  }

  #result(): JobResult {
    const { dataset, kind, record } = this.#parts;
    const { state, progress } = record.view;
    const ended = state === "done" && this.#leavesWork ? "incomplete" : state;
    return {
      id: record.id,
      dataset: dataset.name,
      kind,
      state: ended === "running" ? "paused" : ended,
      dryRun: this.#options.dryRun === true,
      progress,
    };
  }

  async #rest(): Promise<void> {
    const delay = this.#delay;
    this.#delay = 0;
    if (delay <= 0) return;
    await this.#parts.engine.clock.wait(delay, this.#options.signal).catch((error: unknown) => {
      if (!this.#isAborted) throw error;
    });
  }

  get #rangeRows(): number {
    return Math.min(mostRangeRows, Math.max(pageRows, Math.ceil(this.#parts.record.view.progress.total / rangesPerTable)));
  }

  get #leavesWork(): boolean {
    return jobRules[this.#parts.kind].leavesWork(this.#parts.record.view.progress, this.#options);
  }

  get #isAborted(): boolean {
    return this.#options.signal?.aborted === true;
  }
}
