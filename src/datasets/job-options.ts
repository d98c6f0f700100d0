import { KeysteadError } from "../errors.ts";
import type { ContextTypes } from "./context-types.ts";
import type { JobProgress, RowProblem } from "./job-progress.ts";

/** How gently a job works. All its workers share it; one that joins without saying anything leaves it as it is. */
export interface JobPaceOptions {
  /** At most so many rows a second, all workers together: 1–1,000,000. Absent: as fast as it goes. */
  readonly rowsPerSecond?: number;
  /**
   * Rest between pages while the database takes so many times as long for a row as at its best: 1.1–100. Absent: never. It is how a
   * job gives way to an application that is busy at the moment.
   */
  readonly latencyGuard?: number;
  /** The job stops once it left more rows alone than this: 0–1,000,000,000, 10,000 unless given. Run again, it goes on. */
  readonly problemLimit?: number;
}

/** How a job is to run. */
export interface JobOptions extends JobPaceOptions {
  /** Called after every page with the progress of all workers, as far as it is known here. */
  readonly onProgress?: (progress: JobProgress) => void;
  /** Called with the rows that this worker left alone, page by page. The result holds the first 100 of all workers. */
  readonly onProblems?: (problems: readonly RowProblem[]) => void;
  /** Ends this worker after the page at hand. The last one leaves the job paused; running it again goes on from there. */
  readonly signal?: AbortSignal;
  /** Does everything but store it. */
  readonly dryRun?: boolean;
}

/** What is particular to a `reencrypt`. */
export interface ReencryptOptions extends JobOptions {
  /**
   * Codec of the local configuration: values that another system encrypted are opened with it and sealed. A job with a codec is one of
   * its own kind, `import`: what was paused goes on when it is run again; with another codec it begins its pass anew.
   */
  readonly from?: string;
  /** Logical columns whose foreign values come from the codec; all when absent. */
  readonly columns?: readonly string[];
  /** Goes on although none of the first values opens with the codec. Without it such a job ends before it changes anything. */
  readonly leaveUnopened?: boolean;
}

/** What is particular to a `recontext`. */
export interface RecontextOptions extends JobOptions {
  /** Types of columns that the new template names; those that are absent stay as they are, or are taken from the table. */
  readonly contextTypes?: ContextTypes;
  /**
   * Ends it although some values open under neither context: they stay as they are, and the context before is only remembered.
   * Without it both contexts are accepted until a run finds none.
   */
  readonly leaveUnopened?: boolean;
}

/** Everything that a run of any kind of job may be told. */
export interface RunOptions extends ReencryptOptions, RecontextOptions {}

const bounds = {
  rowsPerSecond: { least: 1, most: 1_000_000, whole: true, what: "a job is throttled to" },
  latencyGuard: { least: 1.1, most: 100, whole: false, what: "a latency guard is a factor of" },
  problemLimit: { least: 0, most: 1_000_000_000, whole: true, what: "a limit of problems is" },
} as const;

/** @throws KeysteadError `INVALID_ARGUMENT` */
export function checkPace(options: JobPaceOptions): void {
  for (const name of ["rowsPerSecond", "latencyGuard", "problemLimit"] as const) {
    const value = options[name];
    const { least, most, whole, what } = bounds[name];
    if (value === undefined || (value >= least && value <= most && (!whole || Number.isSafeInteger(value)))) continue;
    throw new KeysteadError("INVALID_ARGUMENT", `${name}: ${what} ${String(least)} to ${String(most)}${whole ? ", a whole number" : ""}`);
  }
}
