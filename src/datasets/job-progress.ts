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

/** Schema of {@link JobProgress}, as it is stored. */
export const progressSchema = z.object({
  /** Passes over the table: rows that the application changed meanwhile are taken up by the next. */
  pass: z.int(),
  /** Rows read in this pass. */
  scanned: z.int(),
  /** Rows in the table, about, when a worker last looked. */
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
});

/** A row that a job could not work on; it was left alone. */
export type RowProblem = Readonly<z.infer<typeof problemSchema>>;

/** How far a job is, over all its workers. Counts cover all runs of one job, from its beginning to its end. */
export type JobProgress = Readonly<z.infer<typeof progressSchema>>;

/** What became of some rows. */
export type RowCounts = Omit<JobProgress, "pass" | "total">;

/** Problems that are kept with their row. */
export const keptProblems = 100;

/** Nothing done. */
export const noCounts: RowCounts = {
  scanned: 0,
  replaced: 0,
  values: 0,
  changed: 0,
  problems: 0,
  tokenProblems: 0,
  unopened: 0,
  firstProblems: [],
};

/** A job that has not begun. */
export const initialProgress: JobProgress = { ...noCounts, pass: 1, total: 0 };

/** Counts of further rows added. */
export function addCounts<T extends RowCounts>(counts: T, further: RowCounts): T {
  return {
    ...counts,
    scanned: counts.scanned + further.scanned,
    replaced: counts.replaced + further.replaced,
    values: counts.values + further.values,
    changed: counts.changed + further.changed,
    problems: counts.problems + further.problems,
    tokenProblems: counts.tokenProblems + further.tokenProblems,
    unopened: counts.unopened + further.unopened,
    firstProblems: [...counts.firstProblems, ...further.firstProblems].slice(0, keptProblems),
  };
}

/** Another pass over the table. */
export function beginPass(progress: JobProgress, pass: number): JobProgress {
  const { replaced, values } = progress;
  return { ...progress, ...noCounts, replaced, values, pass };
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

/** Milliseconds that the rest of the pass may take, or undefined before anything was read. */
export function estimateRest(progress: Pick<JobProgress, "scanned" | "total">, elapsed: number): number | undefined {
  if (progress.scanned === 0) return undefined;
  return (elapsed / progress.scanned) * Math.max(0, progress.total - progress.scanned);
}
