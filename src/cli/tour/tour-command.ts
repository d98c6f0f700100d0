import { Command, InvalidArgumentError, Option } from "commander";
import { KeysteadError } from "../../errors.ts";
import { examples, globalOptions } from "../options.ts";
import { outputOf } from "../output.ts";
import { stoppable } from "../signals.ts";
import { typedCommand } from "../typed-command.ts";
import type { TourSummary } from "./summary.ts";

interface TourFlags {
  readonly csv?: string;
  readonly columns?: string;
  readonly rows?: number;
  readonly keep?: string;
}

const usualRows = 20_000;
const mostRows = 10_000_000;

/** The index by sound of the made-up persons. */
const soundIndex = "surname_sound";

/**
 * The command `tour`: everything once, on a sample table or a CSV file, in a demo store that is gone afterwards.
 *
 * @example
 * program.addCommand(tourCommand());
 */
export function tourCommand(): Command {
  return new Command("tour")
    .description(
      "See it work: protect a sample table, search it, rotate, re-encrypt, destroy the old keys, verify. " +
        "Takes less than a minute, needs nothing, and leaves nothing behind.",
    )
    .option("--csv <file>", "take the rows of a CSV file instead of made-up persons; its first column is the key")
    .option("--columns <names>", "columns of it to protect, separated by commas (default: all but the key)")
    .addOption(new Option("--rows <number>", `number of made-up persons (default: ${usualRows})`).argParser(rowNumber))
    .option("--keep <folder>", "leave database, store and master key behind in an empty or new folder, when all went well")
    .addHelpText(
      "after",
      examples(
        "keystead tour",
        "keystead tour --csv people.csv --columns name,email,iban",
        "keystead tour --keep ./demo",
        "keystead tour --json",
        "# from a checkout; without -s npm prints two lines before the JSON",
        "npm run -s tour -- --json",
      ),
    )
    .action(tour);
}

async function tour({ csv, columns, rows, keep }: TourFlags, command: Command): Promise<void> {
  if (columns !== undefined && csv === undefined)
    throw new KeysteadError("INVALID_ARGUMENT", "--columns names columns of a CSV file; give it with --csv");
  if (rows !== undefined && csv !== undefined)
    throw new KeysteadError("INVALID_ARGUMENT", "--rows is for made-up persons; leave it out with --csv, which is read whole");
  const { runTour } = await import("./run-tour.ts");
  const { systemClock } = await import("../../index.ts");
  const { formatSummary } = await import("./summary.ts");
  const output = outputOf(command);
  const { stderr } = process;
  const tell = async (text: string): Promise<void> => {
    if (output.json) stderr.write(text);
    else await output.data(text);
  };
  const options = {
    rows: rows ?? usualRows,
    ...(csv !== undefined && { csv }),
    ...(columns !== undefined && { columns }),
    ...(keep !== undefined && { keep }),
  };
  const bar =
    stderr.isTTY && globalOptions(command).progress ? { write: (text: string) => stderr.write(text), width: stderr.columns } : undefined;
  let hurry = (): void => undefined;
  const summary = await stoppable(
    (signal) =>
      runTour(options, { write: tell, bar, clock: systemClock }, signal, (workspace) => {
        hurry = () => workspace.hurry();
      }),
    () => hurry(),
  );
  await output.result(summary, () => `\n${formatSummary(summary)}\n${keptNote(summary, keep)}`);
}

/** What to try with what was left behind. */
function keptNote({ folder, source, finds }: TourSummary, keep: string | undefined): string {
  if (folder === undefined || keep === undefined)
    return "The demo store and the sample table are gone again; --keep FOLDER leaves them behind.\n";
  const dataset = source === "csv" ? "data" : "person";
  const findable = source === "generated" && finds.some(({ index }) => index === soundIndex);
  const commands = [`datasets census ${dataset}`, findable ? `datasets find ${dataset} ${soundIndex} Meyer` : "audit verify"];
  return (
    `Everything is in ${keep}: sample.db (the protected table), keystead.db (the store), master.key, audit/, keystead.json. Try:\n` +
    commands.map((command) => `  ${typedCommand(keep, command)}\n`).join("")
  );
}

function rowNumber(text: string): number {
  const rows = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (rows < 1 || rows > mostRows) throw new InvalidArgumentError(`It must be a whole number from 1 to ${mostRows}.`);
  return rows;
}
