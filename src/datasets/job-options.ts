import type { ContextTypes } from "./context-types.ts";
import type { JobProgress } from "./job-progress.ts";

/** How a job is to run. */
export interface JobOptions {
  /** Called after every page. */
  readonly onProgress?: (progress: JobProgress) => void;
  /** Pauses the job after the page at hand; running it again goes on from there. */
  readonly signal?: AbortSignal;
  /** At most so many rows a second, 1–1,000,000. */
  readonly rowsPerSecond?: number;
  /** Does everything but store it. */
  readonly dryRun?: boolean;
}

/** What is particular to a `reencrypt`. */
export interface ReencryptOptions extends JobOptions {
  /**
   * Codec of the local configuration: values that another system encrypted are opened with it and sealed. A job with a codec is one of
   * its own kind, `import`: what was paused goes on when it is run again, with this codec or another.
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
