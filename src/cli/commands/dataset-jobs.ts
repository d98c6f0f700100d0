import { type Command, Option } from "commander";
import { errorCodes, KeysteadError } from "../../errors.ts";
import type { DatasetService, JobOptions, JobProgress, JobResult } from "../../index.ts";
import { formatCensuses } from "../census-text.ts";
import {
  contextTypeSyntax,
  indexSyntax,
  parseContextTypes,
  parseIndex,
  parsePlannedIndex,
  plannedIndexSyntax,
} from "../dataset-definition.ts";
import { formatDataset } from "../dataset-text.ts";
import { nextSteps } from "../generation-text.ts";
import { examples, parsePairs, repeatable, wholeNumber, type YesOptions, yesOption } from "../options.ts";
import { formatProblems } from "../problem-table.ts";
import { confirm } from "../prompts.ts";
import { type Session, withKeystead } from "../session.ts";
import { stoppable } from "../signals.ts";
import { formatCount } from "../table.ts";

/** What the command line says about a job. */
export interface JobFlags extends YesOptions {
  readonly rate?: number;
  readonly dryRun?: boolean;
  readonly plan?: string;
  readonly add?: string;
  readonly indexKey?: string;
}

interface RecontextFlags extends JobFlags {
  readonly context: readonly string[];
  readonly contextType: readonly string[];
  readonly leaveUnopened?: boolean;
}

type JobName = "protect" | "reencrypt" | "unprotect" | "verify" | "index";

interface Job {
  readonly description: string;
  readonly examples: readonly string[];
  /** What is asked first. */
  readonly question?: (dataset: string) => string;
}

const jobs: Readonly<Record<JobName, Job>> = {
  protect: {
    description: "Encrypt every plaintext value under the current version and fill the blind indexes.",
    examples: ["keystead datasets protect crm.person --dry-run", "keystead datasets protect crm.person"],
  },
  reencrypt: {
    description: "Move every value to the current version of its column's key.",
    examples: [
      "keystead datasets reencrypt crm.person",
      "# gently, beside a busy application",
      "keystead datasets reencrypt crm.person --rate 500",
    ],
  },
  unprotect: {
    description: "Write every value back as plaintext and take its index tokens away.",
    examples: ["keystead datasets unprotect crm.person --yes"],
    question: (dataset) => `Write everything in ${dataset} back as plaintext?`,
  },
  verify: {
    description: "Open every value and report those that don't open; changes nothing. Exit code 3 when one doesn't.",
    examples: ["keystead datasets verify crm.person"],
  },
  index: {
    description: "Make the blind-index tokens of every row anew, where they are missing or wrong. --add registers a further index first.",
    examples: [
      "keystead datasets index crm.person",
      "keystead datasets index crm.person --plan phone,kind=last4,normaliser=digits",
      "# another index: let the application write its tokens, then fill it for the rows that are there",
      "keystead datasets index crm.person --add phone_last4=phone,kind=last4,normaliser=digits,key=pii-index",
      "keystead datasets index crm.person",
    ],
  },
};

const jobNames = Object.keys(jobs).filter((name): name is JobName => Object.hasOwn(jobs, name));

/** Adds the commands of `datasets` that work through a table. Each is run again after anything, and goes on where it was. */
export function addDatasetJobs(datasets: Command): void {
  for (const name of jobNames) addJob(datasets, name, jobs[name]);
  withJobOptions(datasets.command("recontext").description("Bind every value to another context. Until it is done, both are accepted."))
    .addOption(repeatable("--context <name=template>", "the new template, like tenant={tenant_id}; none: go on with the one under way"))
    .addOption(repeatable("--context-type <column=type>", `type of a column of the new template: ${contextTypeSyntax}`))
    .option("--leave-unopened", "end it although some values open under neither context: they stay as they are")
    .addHelpText(
      "after",
      examples(
        "keystead datasets recontext crm.person --context dataset=crm.person --context tenant={tenant_id} --context row={id}",
        "# values that can't be opened keep it under way: repair them and go on",
        "keystead datasets recontext crm.person",
      ),
    )
    .action((dataset: string, flags: RecontextFlags, command: Command) => {
      const template = flags.context.length === 0 ? undefined : parsePairs(flags.context, "context pair");
      const leave = flags.leaveUnopened === true && { leaveUnopened: true };
      const types = flags.contextType.length > 0 && { contextTypes: parseContextTypes(flags.contextType) };
      return runJob(`recontext ${dataset}`, flags, command, (service, options) =>
        service.recontext(dataset, template, { ...options, ...leave, ...types }),
      );
    });
}

function addJob(datasets: Command, name: JobName, job: Job): void {
  const command = withJobOptions(datasets.command(name).description(job.description));
  if (job.question !== undefined) command.addOption(yesOption());
  if (name === "index") addIndexOptions(command);
  command.addHelpText("after", examples(...job.examples)).action(async (dataset: string, flags: JobFlags, invoked: Command) => {
    if (flags.plan !== undefined) return plan(dataset, flags.plan, invoked);
    if (flags.add !== undefined) return addIndex(dataset, parseIndex(flags.add, flags.indexKey), invoked);
    await runJob(`${name} ${dataset}`, flags, invoked, (service, options) => service[name](dataset, options), job.question?.(dataset));
  });
}

function addIndexOptions(command: Command): void {
  const others = ["rate", "dryRun"];
  command
    .addOption(
      new Option("--plan <index>", `only advise how many bits to keep, from the values that are there: ${plannedIndexSyntax}`).conflicts(
        others,
      ),
    )
    .addOption(
      new Option("--add <spec>", `only register another index, which a run without it fills: ${indexSyntax}`).conflicts([
        ...others,
        "plan",
      ]),
    )
    .option("--index-key <key>", "key of an index to add that names none");
}

function withJobOptions(command: Command): Command {
  return withRunOptions(command.argument("<dataset>", "name of a dataset"));
}

/** Adds the options of {@link runJob}. */
export function withRunOptions(command: Command): Command {
  return command
    .addOption(new Option("--rate <rows>", "at most so many rows a second").argParser(wholeNumber(1)))
    .option("--dry-run", "do everything but store it");
}

async function plan(dataset: string, text: string, command: Command): Promise<void> {
  const { formatIndexPlan } = await import("../../index.ts");
  await withKeystead(command, async ({ keystead, output }) => {
    const advice = await keystead.datasets.planIndex(dataset, parsePlannedIndex(text));
    await output.result(advice, () => formatIndexPlan(advice));
  });
}

async function addIndex(dataset: string, [name, input]: ReturnType<typeof parseIndex>, command: Command): Promise<void> {
  await withKeystead(command, async ({ keystead, output }) => {
    const added = await keystead.datasets.addIndex(dataset, name, input);
    await output.result(added, () => formatDataset(added));
    for (const advice of added.advice) output.note(`advice: ${advice}`);
    output.note(`searches on it are refused until \`keystead datasets index ${dataset}\` has filled it`);
  });
}

/** Runs a job with progress, pauses it at Ctrl-C, reports how it ended and what comes next. @param words of the command, after `keystead datasets` */
export async function runJob(
  words: string,
  { rate, dryRun, yes }: JobFlags,
  command: Command,
  start: (service: DatasetService, options: JobOptions) => Promise<JobResult>,
  question?: string,
): Promise<void> {
  await withKeystead(command, async ({ keystead, output, clock }) => {
    if (question !== undefined && dryRun !== true) await confirm(question, { yes, output });
    const progress = output.progress({ title: words, unit: "rows" }, clock);
    const onProgress = ({ scanned, total }: JobProgress): void => progress.update(scanned, total);
    const options = { onProgress, ...(rate !== undefined && { rowsPerSecond: rate }), ...(dryRun === true && { dryRun }) };
    const result = await stoppable(
      (signal) => start(keystead.datasets, { ...options, signal }).finally(() => progress.end()),
      () => {
        progress.end();
        output.note("pausing after the rows at hand; press Ctrl-C again to stop at once");
      },
    );
    await report(result, words, dryRun === true, output);
    if (dryRun !== true) for (const step of nextSteps(await keystead.datasets.show(result.dataset))) output.note(`next: ${step}`);
  });
}

async function report(result: JobResult, words: string, dryRun: boolean, output: Session["output"]): Promise<void> {
  const { kind, dataset, state, progress, census } = result;
  await output.result(result, () => {
    const verb = dryRun ? "would change" : "changed";
    const summary = `${kind} ${dataset} ${state}: ${formatCount(progress.scanned)} rows read, ${formatCount(progress.replaced)} ${verb} (${formatCount(progress.values)} values)\n`;
    return census === undefined ? summary : `${summary}\n${formatCensuses([census])}`;
  });
  if (progress.problems > 0) {
    output.note(problemText(progress));
    process.exitCode = kind === "verify" ? errorCodes.VERIFICATION_FAILED.exit : errorCodes.JOB_INCOMPLETE.exit;
  }
  if (state === "incomplete") output.note(incompleteText(dataset, progress));
  if (state === "paused")
    throw new KeysteadError(
      "CANCELLED",
      `paused at row ${formatCount(progress.scanned)} of ${formatCount(progress.total)}; go on with \`keystead datasets ${words}\``,
    );
}

function incompleteText(dataset: string, { problems, tokenProblems, unopened }: JobProgress): string {
  const goOn = `both contexts are accepted until these values are moved: repair them, then go on with \`keystead datasets recontext ${dataset}\``;
  return problems - tokenProblems > unopened ? goOn : `${goOn}, or leave them as they are with --leave-unopened`;
}

function problemText({ problems, firstProblems }: JobProgress): string {
  const what = `${formatCount(problems)} ${problems === 1 ? "value was" : "values were"} left alone`;
  return `${what}:\n${formatProblems(firstProblems, problems)}`;
}
