import type { Command } from "commander";
import { type DryRunFlags, dryRunOf, runJob, withDryRunOptions } from "../job-run.ts";
import { examples, yesOption } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatShadows, nextShadowSteps } from "../shadow-text.ts";

/** Adds `datasets shadow`. */
export function addDatasetShadows(datasets: Command): void {
  const shadow = datasets
    .command("shadow")
    .description("Let the ciphertext of a column take the place of the plaintext beside it, while applications run.")
    .addHelpText(
      "after",
      examples(
        "# the dataset was added with --column phone=pii,column=phone_sealed,plaintext=phone; status says what comes next",
        "keystead datasets shadow status crm.person",
        "# applications were started anew and write both: seal the rows that are there, then read the ciphertext",
        "keystead datasets protect crm.person",
        "keystead datasets shadow cut-over crm.person phone",
        "# they were started anew again: erase the plaintext; and once more when they were started anew after that",
        "keystead datasets shadow erase crm.person phone",
      ),
    );
  addStatus(shadow);
  withColumn(
    shadow.command("cut-over").description("Look at every row, then read the ciphertext of a column. The plaintext is still written."),
    "keystead datasets shadow cut-over crm.person phone",
  ).action((dataset: string, column: string, flags: DryRunFlags, command: Command) =>
    runJob({ title: `shadow cut-over ${dataset} ${column}`, dataset }, flags, command, ({ datasets: service }, options) =>
      service.cutOverColumn(dataset, column, { ...options, ...dryRunOf(flags) }),
    ),
  );
  withColumn(
    shadow
      .command("erase")
      .description("Set the plaintext of a column to NULL where its ciphertext opens to the same. Run again until there was none.")
      .addOption(yesOption()),
    "keystead datasets shadow erase crm.person phone",
  ).action((dataset: string, column: string, flags: DryRunFlags, command: Command) => {
    const question = flags.dryRun === true ? undefined : `Erase the plaintext of column ${column} of ${dataset}?`;
    return runJob({ title: `shadow erase ${dataset} ${column}`, dataset, question }, flags, command, ({ datasets: service }, options) =>
      service.eraseColumn(dataset, column, { ...options, ...dryRunOf(flags) }),
    );
  });
}

function addStatus(shadow: Command): void {
  shadow
    .command("status")
    .description("Show the columns that have their plaintext beside them, and what is to be done next.")
    .argument("<dataset>", "name of a dataset")
    .addHelpText("after", examples("keystead datasets shadow status crm.person"))
    .action((dataset: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.datasets.show(dataset);
        const shown = found.columns.filter(({ plaintext }) => plaintext !== undefined);
        await output.result(shown, () => formatShadows(shown));
        for (const step of nextShadowSteps(found)) output.note(`next: ${step}`);
      }),
    );
}

function withColumn(command: Command, example: string): Command {
  command.argument("<dataset>", "name of a dataset").argument("<column>", "logical name of a column");
  return withDryRunOptions(command).addHelpText("after", examples(example));
}
