import type { StoredRecord } from "../store/tables.ts";

/**
 * Where a job stands. `paused` and `failed` ones go on when a job of their kind is run again; `failed` ones met more problems
 * than they may.
 */
export type JobState = "running" | "paused" | "failed" | "done" | "cancelled";

const states: Readonly<Record<string, JobState>> = {
  running: "running",
  paused: "paused",
  failed: "failed",
  done: "done",
  cancelled: "cancelled",
};

/** States in which nobody goes on with a job. */
export const finishedStates: ReadonlySet<JobState> = new Set(["done", "cancelled"]);

/** The state of a stored job. */
export function jobState({ state }: Pick<StoredRecord<"jobs">, "state">): JobState {
  return states[state] ?? "cancelled";
}

/** True for a job that a run goes on with. */
export function isUnfinished(row: Pick<StoredRecord<"jobs">, "state">): boolean {
  return !finishedStates.has(jobState(row));
}
