import { KeysteadError } from "../../../errors.ts";
import type { Census, JobOptions, JobResult, RowProblem } from "../../../index.ts";
import type { StepOutcome } from "../report.ts";
import type { Tour, TourPlan } from "../tour.ts";
import { plural } from "../words.ts";
import { describeCensus } from "./census.ts";

const shownProblems = 3;

/** A job that went to its end. */
export interface FinishedJob extends JobResult {
  readonly census: Census;
}

/** Seals every value under the current version of its column's key and fills the blind indexes. */
export function protectTable(tour: Tour, plan: TourPlan): Promise<StepOutcome<FinishedJob>> {
  const { datasets } = tour.keystead;
  return runJob(tour, plan, "protected", (options) => datasets.protect(plan.dataset, options));
}

/** Moves every value to the current version of its column's key. */
export function reencryptTable(tour: Tour, plan: TourPlan): Promise<StepOutcome<FinishedJob>> {
  const { datasets } = tour.keystead;
  return runJob(tour, plan, "re-encrypted", (options) => datasets.reencrypt(plan.dataset, options));
}

async function runJob(
  { report, signal }: Tour,
  { dataset }: TourPlan,
  done: string,
  run: (options: JobOptions) => Promise<JobResult>,
): Promise<StepOutcome<FinishedJob>> {
  const result = await report.progress({ title: done, unit: "rows" }, (progress) =>
    run({
      signal,
      onProgress: ({ scanned, total }) => {
        progress.update(scanned, total);
      },
    }),
  );
  signal.throwIfAborted();
  const { census, progress } = result;
  if (result.state !== "done" || census === undefined)
    throw new KeysteadError("JOB_INCOMPLETE", `the job on dataset ${dataset} did not come to its end; start the tour again`);
  const { scanned, values, problems, firstProblems } = progress;
  return {
    result: { ...result, census },
    rows: scanned,
    values,
    text: `${plural(values, "value")} ${done}, each opened again before it was stored`,
    details: [...describeCensus(census), ...describeProblems(problems, firstProblems)],
  };
}

function describeProblems(count: number, first: readonly RowProblem[]): string[] {
  if (count === 0) return [];
  return [
    `${plural(count, "value")} could not be, and stay as they are:`,
    ...first.slice(0, shownProblems).map(({ column, code, message }) => `  in ${column}: ${message} (${code})`),
  ];
}
