import { z } from "zod";
import { type ErrorCode, errorCodes } from "../errors.ts";

const problemSchema = z.object({
  /** Key columns of the row. */
  row: z.record(z.string(), z.string()).readonly(),
  /** Logical column or index. */
  column: z.string(),
  code: z.custom<ErrorCode>((code) => typeof code === "string" && code in errorCodes),
  message: z.string(),
});

const progressSchema = z.object({
  /** Passes over the table: rows that the application changed meanwhile are taken up by the next. */
  pass: z.int(),
  /** Rows read in this pass. */
  scanned: z.int(),
  /** Rows in the table when this run of the job began. */
  total: z.int(),
  /** Rows replaced, in all passes. */
  replaced: z.int(),
  /** Values replaced, in all passes. */
  values: z.int(),
  /** Rows of this pass that the application changed between reading and replacing. */
  changed: z.int(),
  /** Problems of this pass. */
  problems: z.int(),
  /** Of these, rows whose token alone is not made: a value that no index holds. */
  tokenProblems: z.int(),
  /** Of these, values that don't open, whatever their context: damaged ones, and those of versions that are gone or unknown. */
  unopened: z.int(),
  /** The first of them. */
  firstProblems: z.array(problemSchema.readonly()).readonly(),
  /** Where the pass stands; opaque. */
  cursor: z.string().nullable(),
});

/** A row that a job could not work on; it was left alone. */
export type RowProblem = Readonly<z.infer<typeof problemSchema>>;

/** How far a job is. Counts cover all runs of one job, from its beginning to its end. */
export type JobProgress = Readonly<z.infer<typeof progressSchema>>;

/**
 * Progress to go on from. Begins anew when it is not what a job of this version wrote; a pass that had come to its end is made
 * again, because nobody knows what happened since.
 */
export function resumeProgress(json: string, total: number): JobProgress {
  const progress = { ...readProgress(json), total };
  return progress.cursor === null ? beginPass(progress, progress.pass) : progress;
}

/** Progress of a job whose pass is to be made again from the beginning of the table. */
export function withoutCursor(json: string): string {
  return JSON.stringify({ ...readProgress(json), cursor: null });
}

/** Another pass over the table. */
export function beginPass(progress: JobProgress, pass: number): JobProgress {
  return { ...progress, pass, scanned: 0, changed: 0, problems: 0, tokenProblems: 0, unopened: 0, firstProblems: [], cursor: null };
}

function readProgress(json: string): JobProgress {
  try {
    return progressSchema.parse(JSON.parse(json));
  } catch {
    return initialProgress;
  }
}

const codesOfUnopened: ReadonlySet<ErrorCode> = new Set([
  "DECRYPTION_FAILED",
  "KEY_STATE",
  "KEY_USAGE",
  "UNKNOWN_KEY",
  "UNKNOWN_FINGERPRINT",
]);

/** True for a value that does not open, and not for one that can't be moved or stored. */
export function isUnopened({ code }: RowProblem): boolean {
  return codesOfUnopened.has(code);
}

/** Problems that are kept with their row. */
export const keptProblems = 100;

/** A job that has not begun. */
export const initialProgress: JobProgress = {
  pass: 1,
  scanned: 0,
  total: 0,
  replaced: 0,
  values: 0,
  changed: 0,
  problems: 0,
  tokenProblems: 0,
  unopened: 0,
  firstProblems: [],
  cursor: null,
};

/** Milliseconds that the rest may take, or undefined before anything was read. */
export function estimateRest(progress: JobProgress, elapsed: number): number | undefined {
  if (progress.scanned === 0) return undefined;
  return (elapsed / progress.scanned) * Math.max(0, progress.total - progress.scanned);
}
