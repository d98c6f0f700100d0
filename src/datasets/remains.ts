import { KeysteadError } from "../errors.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import type { JobResult } from "./job-run.ts";

/** How a job that took plaintext out of a table ended. */
export interface PlaintextJobResult extends JobResult {
  /**
   * Where the database may still have the plaintext, and what takes it away: for people. Absent when the job replaced nothing, and when
   * the database did not answer any more.
   */
  readonly remains?: readonly string[];
}

/** The result of a job with what its database still has of these physical columns. */
export async function withRemains(
  databases: Databases,
  { definition }: Dataset,
  columns: readonly string[],
  result: JobResult,
): Promise<PlaintextJobResult> {
  if (result.state !== "done" || result.dryRun || result.progress.replaced === 0) return result;
  try {
    const source = await databases.open(definition.database, layoutOf(definition));
    try {
      const remains = await source.describeRemains?.(columns);
      return { ...result, ...(remains !== undefined && { remains }) };
    } finally {
      await source.close();
    }
  } catch (error) {
    // The job is done, whether or not there is advice.
    if (error instanceof KeysteadError) return result;
    throw error;
  }
}
