import { type Command, Option } from "commander";
import type { JobOptions, ReencryptOptions } from "../../index.ts";
import {
  contextTypeSyntax,
  indexSyntax,
  parseContextTypes,
  parseIndex,
  parsePlannedIndex,
  plannedIndexSyntax,
} from "../dataset-definition.ts";
import { formatDataset } from "../dataset-text.ts";
import { type DryRunFlags, dryRunOf, runJob, withDryRunOptions } from "../job-run.ts";
import { examples, parsePairs, repeatable, type YesOptions, yesOption } from "../options.ts";
import { withKeystead } from "../session.ts";

interface JobFlags extends DryRunFlags, YesOptions {
  readonly plan?: string;
  readonly add?: string;
  readonly indexKey?: string;
  readonly from?: string;
  readonly column?: readonly string[];
  readonly leaveUnopened?: boolean;
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
    description: "Move every value to the current version of its column's key. --from takes in what another system encrypted.",
    examples: [
      "keystead datasets reencrypt crm.person",
      "# gently, beside a busy application",
      "keystead datasets reencrypt crm.person --rate 500",
      "# fast: four processes share the work",
      "keystead datasets reencrypt crm.person --workers 4",
      "# what another system encrypted, by a codec of keystead.json",
      "keystead datasets reencrypt crm.person --from legacy --column email --dry-run",
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
      return runJob({ title: `recontext ${dataset}`, dataset }, flags, command, ({ datasets: service }, options) =>
        service.recontext(dataset, template, { ...options, ...leave, ...types, ...dryRunOf(flags) }),
      );
    });
}

function addJob(datasets: Command, name: JobName, job: Job): void {
  const command = withJobOptions(datasets.command(name).description(job.description));
  if (job.question !== undefined) command.addOption(yesOption());
  if (name === "index") addIndexOptions(command);
  if (name === "reencrypt") addCodecOptions(command);
  command.addHelpText("after", examples(...job.examples)).action(async (dataset: string, flags: JobFlags, invoked: Command) => {
    if (flags.plan !== undefined) return plan(dataset, flags.plan, invoked);
    if (flags.add !== undefined) return addIndex(dataset, parseIndex(flags.add, flags.indexKey), invoked);
    const question = flags.dryRun === true ? undefined : job.question?.(dataset);
    await runJob({ title: `${name} ${dataset}`, dataset, question }, flags, invoked, ({ datasets: service }, options) => {
      const all = { ...options, ...dryRunOf(flags) };
      return name === "reencrypt" ? service.reencrypt(dataset, { ...all, ...codecOptions(flags) }) : service[name](dataset, all);
    });
  });
}

function addIndexOptions(command: Command): void {
  const others = ["rate", "dryRun", "workers"];
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

function addCodecOptions(command: Command): void {
  command
    .option("--from <codec>", "a codec of keystead.json: opens what another system encrypted")
    .addOption(repeatable("--column <name>", "with --from: a column that comes from the codec; all unless given"))
    .option("--leave-unopened", "with --from: go on although none of the first values opens");
}

function codecOptions({ from, column = [], leaveUnopened }: JobFlags): Omit<ReencryptOptions, keyof JobOptions> {
  return {
    ...(from !== undefined && { from }),
    ...(column.length > 0 && { columns: column }),
    ...(leaveUnopened === true && { leaveUnopened }),
  };
}

function withJobOptions(command: Command): Command {
  return withDryRunOptions(command.argument("<dataset>", "name of a dataset"));
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
