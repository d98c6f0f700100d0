import { CommanderError, type Command } from "commander";
import { describeFailure, formatFailure, isClosedPipe } from "./failure.ts";
import { namingMistypedOption } from "./mistyped-option.ts";
import type { GlobalOptions } from "./options.ts";
import { buildProgram } from "./program.ts";

/**
 * Runs one command line and sets the exit code of the process: 0, or what the error table says, 2 for wrong usage.
 * Data goes to stdout, everything else to stderr. A reader that closes stdout early (`| head`) ends the command silently.
 */
export async function run(args: readonly string[]): Promise<void> {
  hideExperimentalWarnings();
  // Writers learn of the error by their callback; without a listener it would end the process in the middle of its work.
  process.stdout.on("error", () => undefined);
  const program = buildProgram();
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (isClosedPipe(error)) return;
    if (error instanceof CommanderError && error.exitCode === 0) return;
    report(error, program, args);
  }
}

function report(error: unknown, program: Command, args: readonly string[]): void {
  if (error instanceof CommanderError && error.code === "commander.help") {
    process.exitCode = 2;
    return;
  }
  const json = program.opts<GlobalOptions>().json === true || (error instanceof CommanderError && args.includes("--json"));
  const command = commandOf(program, args);
  const telling = error instanceof CommanderError ? namingMistypedOption(error, command) : error;
  const failure = describeFailure(telling, { path: pathOf(command), debug: process.env["KEYSTEAD_DEBUG"] === "1" });
  process.stderr.write(formatFailure(failure, json));
  process.exitCode = failure.exitCode;
}

/** The command that the command line names. */
function commandOf(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const word of args) command = command.commands.find((candidate) => candidate.name() === word) ?? command;
  return command;
}

/** How a command is called: `keystead keys create`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** `node:sqlite` announces itself on stderr, which belongs to messages for people. */
function hideExperimentalWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") process.stderr.write(`keystead: ${warning.name}: ${warning.message}\n`);
  });
}
