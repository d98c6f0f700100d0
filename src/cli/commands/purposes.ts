import type { Command } from "commander";
import type { PurposeInfo, PurposeSettings } from "../../index.ts";
import { encryptAlgorithmNames } from "../algorithm-names.ts";
import { examples, oneOf, repeatable, wholeNumber } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

interface PurposeFlags {
  readonly description?: string;
  readonly defaultKey?: string | false;
  readonly rotationDays?: number | false;
  readonly algorithm: readonly string[];
  readonly anyAlgorithm?: boolean;
  readonly hardware?: boolean;
}

/** Adds `purposes`. */
export function addPurposeCommands(program: Command): void {
  const purposes = program
    .command("purposes")
    .description("Registered labels of what data a key protects, with their policy.")
    .addHelpText("after", examples("keystead purposes list", "keystead purposes set pii --default-key pii-email"));
  purposes
    .command("list")
    .description("List purposes.")
    .addHelpText("after", examples("keystead purposes list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.purposes.list();
        await output.result(found, () => formatTable(found, columns));
      }),
    );
  purposes
    .command("show")
    .description("Show a purpose.")
    .argument("<purpose>", "name of a purpose")
    .addHelpText("after", examples("keystead purposes show pii"))
    .action((name: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const purpose = await keystead.purposes.show(name);
        await output.result(purpose, () => formatTable([purpose], columns));
      }),
    );
  withPolicy(purposes.command("create").description("Register a purpose."))
    .argument("<purpose>", "1 to 64 lower-case letters, digits or -")
    .addHelpText("after", examples('keystead purposes create payroll --description "salaries and bank details" --rotation-days 365'))
    .action((name: string, flags: PurposeFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const purpose = await keystead.purposes.create(name, settingsOf(flags));
        await output.result(purpose, () => formatTable([purpose], columns));
      }),
    );
  withPolicy(purposes.command("set").description("Change a purpose; what is not named stays."))
    .argument("<purpose>", "name of a purpose")
    .option("--no-default-key", "no default key")
    .option("--no-rotation-days", "no rotation policy")
    .option("--no-hardware", "any KEK will do")
    .option("--any-algorithm", "allow every algorithm")
    .addHelpText("after", examples("keystead purposes set pii --default-key pii-email", "keystead purposes set medical --rotation-days 90"))
    .action((name: string, flags: PurposeFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const purpose = await keystead.purposes.set(name, settingsOf(flags));
        await output.result(purpose, () => formatTable([purpose], columns));
      }),
    );
}

function withPolicy(command: Command): Command {
  return command
    .option("--description <text>", "what data that is")
    .option("--default-key <key>", "key that `encrypt --purpose` takes")
    .option("--rotation-days <days>", "rotation of new keys", wholeNumber(1))
    .addOption(oneOf(repeatable("--algorithm <name>", "allowed algorithm of its encrypt keys"), encryptAlgorithmNames))
    .option("--hardware", "its keys need a hardware-backed KEK");
}

function settingsOf({ description, defaultKey, rotationDays, algorithm, anyAlgorithm, hardware }: PurposeFlags): PurposeSettings {
  return {
    ...(description !== undefined && { description }),
    ...(defaultKey !== undefined && { defaultKey: defaultKey === false ? null : defaultKey }),
    ...(rotationDays !== undefined && { rotationDays: rotationDays === false ? null : rotationDays }),
    ...((algorithm.length > 0 || anyAlgorithm === true) && { algorithms: algorithm }),
    ...(hardware !== undefined && { hardware }),
  };
}

const columns: readonly TableColumn<PurposeInfo>[] = [
  { title: "purpose", cell: ({ name }) => name },
  { title: "default key", cell: ({ defaultKey }) => defaultKey },
  { title: "rotation", cell: ({ rotationDays }) => (rotationDays === undefined ? undefined : `${rotationDays} days`) },
  { title: "algorithms", cell: ({ algorithms }) => (algorithms.length === 0 ? "any" : algorithms.join(",")) },
  { title: "hardware", cell: ({ hardware }) => (hardware ? "yes" : "no") },
  { title: "description", cell: ({ description }) => description },
];
