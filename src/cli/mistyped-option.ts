import { type Command, CommanderError } from "commander";
import { nearestName } from "../nearest-name.ts";

const codes: readonly string[] = ["commander.unknownOption", "commander.missingMandatoryOptionValue"];

/**
 * The error that tells most: an option that is unknown, rather than the one that is missing because its name was mistyped, and
 * which was meant. What was given with it (`--contxt=row=42`) is left out.
 */
export function namingMistypedOption(error: CommanderError, command: Command): CommanderError {
  const mistyped = codes.includes(error.code) ? command.args.find((word) => /^-[^-]|^--[^-]/.test(word)) : undefined;
  if (mistyped === undefined) return error;
  const name = mistyped.replace(/=[^]*$/, "");
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const near = nearestName(
    [name],
    options.flatMap(({ long }) => long ?? []),
  );
  const hint = near === undefined ? "" : `\n(Did you mean ${near}?)`;
  return new CommanderError(error.exitCode, "commander.unknownOption", `error: unknown option '${name}'${hint}`);
}
