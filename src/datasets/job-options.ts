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
