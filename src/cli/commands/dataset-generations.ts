import type { Command } from "commander";
import { KeysteadError } from "../../errors.ts";
import { parseGeneration } from "../dataset-definition.ts";
import { formatGenerations, nextSteps } from "../generation-text.ts";
import { type DryRunFlags, dryRunOf, runJob, withRunOptions } from "../job-run.ts";
import { examples, wholeNumber, type YesOptions, yesOption } from "../options.ts";
import { confirm } from "../prompts.ts";
import { type Session, withKeystead } from "../session.ts";

interface StartFlags {
  readonly column: string;
  readonly kind?: string;
  readonly normaliser?: string;
  readonly bits?: number;
}

/** Adds `datasets generation`. */
export function addDatasetGenerations(datasets: Command): void {
  const generation = datasets
    .command("generation")
    .description("Make a blind index anew beside the one that is there, then let it take its place. Searches are right all the while.")
    .addHelpText(
      "after",
      examples(
        "# after the index key was rotated, or leaked; status says what comes next",
        "keystead datasets generation start crm.person email_index --column email_index_2",
        "keystead datasets generation status crm.person",
        "# applications were started anew: fill the new column, then search by it",
        "keystead datasets index crm.person",
        "keystead datasets generation cut-over crm.person email_index 2",
        "# they were started anew again: write the old column no more; once more: empty it",
        "keystead datasets generation drop crm.person email_index 1",
        "keystead datasets index crm.person",
      ),
    );
  addStart(generation);
  addStatus(generation);
  addCutOver(generation);
  addDrop(generation);
}

function addStart(generation: Command): void {
  withIndex(
    generation
      .command("start")
      .description("Start another generation, in a column of its own, under the key's current version. Nothing in the table is changed."),
  )
    .requiredOption("--column <column>", "physical column for its tokens, empty")
    .option("--kind <kind>", "another kind: exact, last4, soundex, metaphone, compound")
    .option("--normaliser <normaliser>", "another normaliser; of several columns joined by +")
    .option("--bits <bits>", "other bits (default: as they are; as planned when kind or normaliser change)", wholeNumber(1))
    .addHelpText(
      "after",
      examples(
        "keystead datasets generation start crm.person email_index --column email_index_2",
        "keystead datasets generation start crm.person email_index --column email_index_2 --bits 20",
      ),
    )
    .action((dataset: string, index: string, { column, ...changes }: StartFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const started = await keystead.datasets.startGeneration(dataset, index, { column, ...parseGeneration(changes) });
        await output.result(started, () => formatGenerations(started.indexes.filter((row) => row.index === index)));
        for (const advice of started.advice) output.note(`advice: ${advice}`);
        noteNext(output, nextSteps(started));
      }),
    );
}

function addStatus(generation: Command): void {
  generation
    .command("status")
    .description("Show every generation of a dataset's indexes, and what is to be done next.")
    .argument("<dataset>", "name of a dataset")
    .argument("[index]", "name of an index (default: every one)")
    .addHelpText("after", examples("keystead datasets generation status crm.person"))
    .action((dataset: string, index: string | undefined, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const { name, indexes } = await keystead.datasets.show(dataset);
        const shown = indexes.filter((row) => index === undefined || row.index === index);
        if (shown.length === 0 && index !== undefined) {
          const names = [...new Set(indexes.map((row) => row.index))].join(", ") || "none";
          throw new KeysteadError("INVALID_ARGUMENT", `dataset ${name} has no index of this name; it has: ${names}`);
        }
        await output.result(shown, () => formatGenerations(shown));
        noteNext(output, nextSteps({ name, indexes: shown }));
      }),
    );
}

function addCutOver(generation: Command): void {
  withRunOptions(
    withGeneration(
      generation
        .command("cut-over")
        .description("Look at every row, then search by this generation. Both are still written; cutting over to the other one goes back."),
    ),
  )
    .option("--dry-run", "only look at every row")
    .addHelpText("after", examples("keystead datasets generation cut-over crm.person email_index 2"))
    .action((dataset: string, index: string, number: number, flags: DryRunFlags, command: Command) =>
      runJob(
        { title: `generation cut-over ${dataset} ${index} ${String(number)}`, dataset },
        flags,
        command,
        ({ datasets: service }, options) => service.cutOver(dataset, index, number, { ...options, ...dryRunOf(flags) }),
      ),
    );
}

function addDrop(generation: Command): void {
  withGeneration(
    generation
      .command("drop")
      .description("Search and write a generation no more. `datasets index` then empties its column and frees its key version."),
  )
    .addOption(yesOption())
    .addHelpText(
      "after",
      examples(
        "keystead datasets generation drop crm.person email_index 1",
        "# once every application was started anew",
        "keystead datasets index crm.person",
      ),
    )
    .action((dataset: string, index: string, number: number, { yes }: YesOptions, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const question = `Drop generation ${String(number)} of index ${index}? Applications that still search its column will miss rows.`;
        await confirm(question, { yes, output });
        const left = await keystead.datasets.dropGeneration(dataset, index, number);
        await output.result(left, () => formatGenerations(left.indexes.filter((row) => row.index === index)));
        noteNext(output, nextSteps(left));
      }),
    );
}

function withIndex(command: Command): Command {
  return command.argument("<dataset>", "name of a dataset").argument("<index>", "name of an index");
}

function withGeneration(command: Command): Command {
  return withIndex(command).argument("<generation>", "number of a generation", wholeNumber(1));
}

function noteNext(output: Session["output"], steps: readonly string[]): void {
  for (const step of steps) output.note(`next: ${step}`);
}
