import { CommanderError, type Command } from "commander";
import { describeFailure, formatFailure, isClosedPipe } from "./failure.ts";
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
  const failure = describeFailure(error, { path: pathOf(program, args), debug: process.env["KEYSTEAD_DEBUG"] === "1" });
  process.stderr.write(formatFailure(failure, json));
  process.exitCode = failure.exitCode;
}

/** The words of the command line that name the command: `keystead keys create`. */
function pathOf(program: Command, args: readonly string[]): string {
  let command = program;
  const path = [program.name()];
  for (const word of args) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) continue;
    command = next;
    path.push(word);
  }
  return path.join(" ");
}

/** `node:sqlite` announces itself on stderr, which belongs to messages for people. */
function hideExperimentalWarnings(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") process.stderr.write(`keystead: ${warning.name}: ${warning.message}\n`);
  });
}
