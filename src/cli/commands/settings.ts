import { Argument, type Command } from "commander";
import type { SettingName, Settings } from "../../index.ts";
import { examples, oneOf, wholeNumber } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable } from "../table.ts";

type ChangeableSetting = Exclude<SettingName, "restoredAt" | "copiedAt">;

const meanings: Readonly<Record<ChangeableSetting, string>> = {
  refreshBound: "milliseconds within which every process learns of a change",
  destructionWaitingDays: "days between scheduling a destruction and its execution",
  backupRetentionDays: "days that the longest-kept backup of any dataset is kept",
};

/** Adds `settings`. */
export function addSettingCommands(program: Command): void {
  const settings = program
    .command("settings")
    .description("Settings that live in the store and hold for every process.")
    .addHelpText("after", examples("keystead settings list", "keystead settings set backupRetentionDays 90"));
  settings
    .command("list")
    .description("List settings.")
    .addHelpText("after", examples("keystead settings list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.settings.list();
        await output.result(found, () => formatSettings(found));
      }),
    );
  settings
    .command("set")
    .description("Change a setting.")
    .addArgument(oneOf(new Argument("<name>", "setting"), Object.keys(meanings)))
    .argument("<value>", "a whole number", wholeNumber(0))
    .addHelpText("after", examples("keystead settings set destructionWaitingDays 14", "keystead settings set backupRetentionDays 90"))
    .action((name: ChangeableSetting, value: number, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.settings.set(name, value);
        await output.result(found, () => formatSettings(found));
      }),
    );
}

function formatSettings(settings: Settings): string {
  const rows = Object.entries(meanings).map(([name, meaning]) => ({
    name,
    meaning,
    value: Object.entries(settings).find(([key]) => key === name)?.[1],
  }));
  return formatTable(rows, [
    { title: "setting", cell: ({ name }) => name },
    { title: "value", cell: ({ value }) => value },
    { title: "meaning", cell: ({ meaning }) => meaning },
  ]);
}
