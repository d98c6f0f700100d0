import { type Command, InvalidArgumentError, Option } from "commander";
import type { KeysteadApi } from "../api/keystead-api.ts";
import { errorCodes, KeysteadError } from "../errors.ts";
import type { JobOptions, JobProgress, JobResult, PlaintextJobResult, RowProblem } from "../index.ts";
import { formatCensuses } from "./census-text.ts";
import { nextSteps } from "./generation-text.ts";
import { commandOf } from "./job-hints.ts";
import { JobWorkers } from "./job-workers.ts";
import { type GlobalOptions, globalOptions, wholeNumber } from "./options.ts";
import { formatProblems } from "./problem-table.ts";
import { ProblemFile } from "./problem-file.ts";
import { confirm } from "./prompts.ts";
import { assertFolder } from "./remote.ts";
import { nextShadowSteps } from "./shadow-text.ts";
import { type Session, withKeystead } from "./session.ts";
import { stoppable } from "./signals.ts";
import { keepHeapSmall } from "./small-heap.ts";
import { formatCount } from "./table.ts";

/** How a job is to run, on the command line. */
export interface RunFlags {
  readonly rate?: number;
  readonly latencyGuard?: number;
  readonly problemLimit?: number;
  readonly problems?: string;
  readonly workers?: number;
  readonly yes?: boolean;
}

/** What is run. */
export interface RunSubject {
  /** Verb and object, for progress. */
  readonly title: string;
  readonly dataset: string;
  /** What is asked first. */
  readonly question?: string | undefined;
}

const mostWorkers = 64;

/** Adds the options that every job has. */
export function withRunOptions(command: Command): Command {
  return command
    .addOption(new Option("--rate <rows>", "at most so many rows a second, all workers together").argParser(wholeNumber(1)))
    .addOption(
      new Option("--latency-guard <times>", "rest while the database is so many times slower than at its best, like 2").argParser(
        decimalNumber,
      ),
    )
    .addOption(
      new Option("--problem-limit <rows>", "stop once more rows than this were left alone (default: 10000)").argParser(wholeNumber(0)),
    )
    .option("--problems <file>", "write each row that is left alone to a new file, one JSON object a line")
    .addOption(new Option("--workers <number>", "so many processes share the work, 1 to 64 (default: 1)").argParser(wholeNumber(1)));
}

/** A job that can be tried without storing anything. */
export interface DryRunFlags extends RunFlags {
  readonly dryRun?: boolean;
}

/** As {@link withRunOptions}, and `--dry-run`. */
export function withDryRunOptions(command: Command): Command {
  return withRunOptions(command).addOption(new Option("--dry-run", "do everything but store it").conflicts("workers"));
}

/** What `--dry-run` says to a job. */
export function dryRunOf({ dryRun }: DryRunFlags): { readonly dryRun?: boolean } {
  return dryRun === true ? { dryRun } : {};
}

/** Runs a job with its progress, and says how it ended. */
export async function runJob(
  { title, dataset, question }: RunSubject,
  flags: RunFlags,
  command: Command,
  start: (keystead: KeysteadApi, options: JobOptions) => Promise<PlaintextJobResult>,
): Promise<void> {
  const { workers: count = 1, yes } = flags;
  if (count > mostWorkers) throw new KeysteadError("INVALID_ARGUMENT", `--workers: at most ${String(mostWorkers)} processes share a job`);
  if (count > 1) assertFolder(command, "--workers", "starts processes that reach the database themselves");
  if (flags.problems !== undefined)
    assertFolder(command, "--problems", "writes rows down as they are left alone, which only the job's process knows");
  keepHeapSmall();
  await withKeystead(command, async ({ keystead, output, clock }) => {
    if (question !== undefined) await confirm(question, { yes, output });
    const progress = output.progress({ title, unit: "rows" }, clock);
    const workers = new JobWorkers(dataset, count - 1, directoryOf(globalOptions(command)), flags.problems);
    const runningJob = async (): Promise<string | undefined> => {
      const { id, state } = await keystead.jobs.show(dataset);
      return state === "running" ? id : undefined;
    };
    const problems = flags.problems === undefined ? undefined : await ProblemFile.create(flags.problems);
    const onProgress = ({ scanned, total }: JobProgress): void => {
      workers.start(runningJob);
      progress.update(scanned, total);
    };
    const onProblems = (found: readonly RowProblem[]): void => problems?.write(found);
    const options = { onProgress, onProblems, ...paceOf(flags) };
    const result = await stoppable(
      (signal) => start(keystead, { ...options, signal }).finally(() => progress.end()),
      () => {
        workers.stop();
        progress.end();
        output.note("pausing after the rows at hand; press Ctrl-C again to stop at once");
      },
    ).finally(() => problems?.close());
    for (const failure of await workers.ended()) output.note(`a worker failed: ${failure}`);
    await report(result, output);
    if (result.dryRun) return;
    const found = await keystead.datasets.show(dataset);
    for (const step of [...nextSteps(found), ...nextShadowSteps(found)]) output.note(`next: ${step}`);
  });
}

function directoryOf({ dir }: GlobalOptions): readonly string[] {
  return dir === undefined ? [] : ["--dir", dir];
}

function paceOf({ rate, latencyGuard, problemLimit }: RunFlags): JobOptions {
  return {
    ...(rate !== undefined && { rowsPerSecond: rate }),
    ...(latencyGuard !== undefined && { latencyGuard }),
    ...(problemLimit !== undefined && { problemLimit }),
  };
}

function decimalNumber(text: string): number {
  if (!/^[0-9]{1,3}(?:\.[0-9]{1,3})?$/.test(text)) throw new InvalidArgumentError("A number like 2 or 1.5 is needed.");
  return Number(text);
}

async function report(result: PlaintextJobResult, output: Session["output"]): Promise<void> {
  const { kind, dataset, state, dryRun, progress, census, remains = [] } = result;
  await output.result(result, () => {
    const verb = dryRun ? "would change" : "changed";
    const summary = `${commandOf(kind)} ${dataset} ${state}: ${formatCount(progress.scanned)} rows read, ${formatCount(progress.replaced)} ${verb} (${formatCount(progress.values)} values)\n`;
    return census === undefined ? summary : `${summary}\n${formatCensuses([census])}`;
  });
  if (progress.problems > 0) {
    output.note(problemText(progress));
    process.exitCode = kind === "verify" ? errorCodes.VERIFICATION_FAILED.exit : errorCodes.JOB_INCOMPLETE.exit;
  }
  if (state === "incomplete") output.note(incompleteText(dataset, progress));
  if (remains.length > 0) output.note(`the database still has plaintext elsewhere:\n${remains.map((text) => `- ${text}`).join("\n")}`);
  const stopped = stops[state]?.(result);
  if (stopped !== undefined) throw stopped;
}

/** What is said of a job that did not come to its end. */
const stops: Partial<Record<JobResult["state"], (result: JobResult) => KeysteadError>> = {
  paused: ({ dataset, progress }) =>
    new KeysteadError("CANCELLED", `paused at row ${placeOf(progress)}; go on with \`keystead jobs resume ${dataset}\``),
  cancelled: ({ progress }) => new KeysteadError("CANCELLED", `cancelled at row ${placeOf(progress)}`),
  failed: ({ dataset, progress }) =>
    new KeysteadError(
      "JOB_INCOMPLETE",
      `stopped at row ${placeOf(progress)}, because too many were left alone: mend their cause, then go on with \`keystead jobs resume ${dataset}\`, or give a larger --problem-limit`,
    ),
};

function placeOf({ scanned, total }: JobProgress): string {
  return `${formatCount(scanned)} of ${formatCount(total)}`;
}
function incompleteText(dataset: string, { problems, tokenProblems, unopened }: JobProgress): string {
  const goOn = `both contexts are accepted until these values are moved: repair them, then go on with \`keystead datasets recontext ${dataset}\``;
  return problems - tokenProblems > unopened ? goOn : `${goOn}, or leave them as they are with --leave-unopened`;
}

function problemText({ problems, firstProblems }: JobProgress): string {
  const what = `${formatCount(problems)} ${problems === 1 ? "value was" : "values were"} left alone`;
  return `${what}:\n${formatProblems(firstProblems, problems)}`;
}
