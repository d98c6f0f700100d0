import type { AuditReport, Census, JobProgress } from "../../index.ts";
import { formatCount, formatTable } from "../table.ts";
import type { StepTiming } from "./report.ts";
import { formatSeconds } from "./report.ts";
import type { Destruction, Refusal } from "./steps/destruction.ts";
import type { FindResult } from "./steps/find-people.ts";
import type { VerifiedRows } from "./steps/verify-rows.ts";
import { plural } from "./words.ts";

/** What the tour did and how fast: the one JSON object of `--json`. Holds no plaintext. */
export interface TourSummary {
  readonly source: "generated" | "csv";
  readonly rows: number;
  /** Values that were to be protected. */
  readonly values: number;
  /** Seconds of the whole tour. */
  readonly seconds: number;
  readonly steps: readonly StepTiming[];
  /** Protected columns by purpose. */
  readonly columns: Readonly<Record<string, readonly string[]>>;
  /** What the table held before it was protected, after that, after the rotation, and after the re-encryption. */
  readonly census: Readonly<Record<"before" | "protected" | "rotated" | "after", Census>>;
  readonly finds: readonly FindResult[];
  readonly refusal: Refusal;
  readonly certificates: readonly Destruction[];
  readonly audit: AuditReport;
  readonly verified: VerifiedRows;
  /** Values that a job could not work on, and why. */
  readonly problems: readonly Pick<JobProgress["firstProblems"][number], "column" | "code" | "message">[];
  /** The folder that was kept. */
  readonly folder?: string;
}

/** The summary for people. */
export function formatSummary({ rows, verified, certificates, seconds, steps }: TourSummary): string {
  const measured = steps.filter(({ rowsPerSecond }) => rowsPerSecond !== undefined);
  const table = formatTable(measured, [
    { title: "step", cell: ({ step }) => step },
    { title: "rows", cell: ({ rows: count }) => count },
    { title: "values", cell: ({ values }) => (values === undefined ? "" : formatCount(values)) },
    { title: "time", cell: (step) => formatSeconds(step.seconds) },
    { title: "rows/s", cell: ({ rowsPerSecond }) => rowsPerSecond },
  ]);
  return (
    `${table}\nIn ${formatSeconds(seconds)}: ${plural(verified.values, "value")} in ${plural(rows, "row")} protected, searched, moved to new key versions ` +
    `and opened again without a loss; ${plural(certificates.length, "old key version")} destroyed when nothing needed ${certificates.length === 1 ? "it" : "them"} any more.`
  );
}
