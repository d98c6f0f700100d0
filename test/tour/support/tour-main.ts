import { Command } from "commander";
import { describeFailure, formatFailure } from "../../../src/cli/failure.ts";
import { tourCommand } from "../../../src/cli/tour/tour-command.ts";

/** The tour as a program of its own: what the command line adds to it, and nothing else. */
const program = new Command("keystead")
  .option("--json")
  .option("--no-progress")
  .configureOutput({ outputError: () => undefined })
  .exitOverride();
program.addCommand(tourCommand().copyInheritedSettings(program));
try {
  await program.parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  const failure = describeFailure(error, { path: "keystead tour", debug: false });
  process.stderr.write(formatFailure(failure, false));
  process.exitCode = failure.exitCode;
}
