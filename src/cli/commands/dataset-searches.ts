import { type Command, Option } from "commander";
import { errorCodes, KeysteadError } from "../../errors.ts";
import type { FindResult, FoundRow } from "../../index.ts";
import { formatCensuses } from "../census-text.ts";
import { openSource, readLines } from "../data-streams.ts";
import { examples, wholeNumber } from "../options.ts";
import { formatProblems } from "../problem-table.ts";
import { withKeystead } from "../session.ts";
import { stoppable } from "../signals.ts";
import { formatCount, formatTable } from "../table.ts";
import { displayedValue, jsonValue } from "../value-output.ts";

/** Adds `datasets census` and `datasets find`. */
export function addDatasetSearches(datasets: Command): void {
  addCensus(datasets);
  addFind(datasets);
}

function addCensus(datasets: Command): void {
  datasets
    .command("census")
    .description("Count how many values each key version protects, without decrypting anything.")
    .argument("[dataset]", "name of a dataset (default: every one)")
    .addOption(new Option("--key <key>", "count the versions of one key over all datasets instead"))
    .addHelpText("after", examples("keystead datasets census crm.person", "keystead datasets census --key pii-email"))
    .action((name: string | undefined, { key }: { readonly key?: string }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const { datasets: service } = keystead;
        if (key !== undefined) {
          if (name !== undefined) throw new KeysteadError("INVALID_ARGUMENT", "name a dataset or --key, not both");
          const found = await service.census(key);
          return output.result(found, () =>
            formatTable(found, [
              { title: "version", cell: ({ version }) => version },
              { title: "count", cell: ({ count }) => count },
            ]),
          );
        }
        if (name !== undefined) {
          const census = await stoppable((signal) => service.takeCensus(name, signal));
          return output.result(census, () => formatCensuses([census]));
        }
        const censuses = await stoppable(async (signal) => {
          const taken = [];
          for (const dataset of await service.list()) {
            try {
              taken.push(await service.takeCensus(dataset.name, signal));
            } catch (error) {
              // The others are worth knowing all the same.
              if (!(error instanceof KeysteadError) || error.code === "CANCELLED") throw error;
              output.note(`${dataset.name} can't be counted: ${error.message}`);
              process.exitCode = errorCodes[error.code].exit;
            }
          }
          return taken;
        });
        await output.result(censuses, () => formatCensuses(censuses));
      }),
    );
}

function addFind(datasets: Command): void {
  datasets
    .command("find")
    .description("Find rows by a blind index; every hit is opened and compared. Exit code 6 unless that is all of them, with every value.")
    .argument("<dataset>", "name of a dataset")
    .argument("<index>", "name of an index")
    .argument("<values...>", "one value for each column of the index; - reads them from stdin, one a line")
    .option("--limit <rows>", "rows that are shown at most (default: 1000)", wholeNumber(1))
    .addHelpText(
      "after",
      examples(
        "printf anna@example.org | keystead datasets find crm.person email_index -",
        "# everybody on this machine sees the arguments of a command while it runs: prefer - for personal data",
        "keystead datasets find crm.person phone_last4 4711",
      ),
    )
    .action((dataset: string, index: string, values: readonly string[], { limit }: { readonly limit?: number }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const search = values.length === 1 && values[0] === "-" ? await readSearch() : values;
        const found = await stoppable((signal) =>
          keystead.datasets.find(dataset, index, search, { signal, ...(limit !== undefined && { limit }) }),
        );
        const rows = found.rows.map(({ row, values: opened, unopened }) => ({
          row,
          values: Object.fromEntries(Object.entries(opened).map(([name, value]) => [name, jsonValue(value)])),
          unopened,
        }));
        await output.result({ ...found, rows }, () => formatRows(found.rows));
        for (const note of findNotes(found)) output.note(note);
        const isWhole = found.complete && found.rows.every(({ unopened }) => Object.keys(unopened).length === 0);
        if (!isWhole) process.exitCode = errorCodes.JOB_INCOMPLETE.exit;
      }),
    );
}

async function readSearch(): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(await openSource(undefined))) lines.push(line.toString("utf8"));
  return lines;
}

/** What a person should know about the rows that are shown. */
function findNotes({ rows, more, unopenedRows, firstUnopened }: FindResult): string[] {
  const notes = [`${formatCount(rows.length)} ${rows.length === 1 ? "row" : "rows"} found`];
  const unopenedValues = rows.reduce((sum, { unopened }) => sum + Object.keys(unopened).length, 0);
  if (unopenedValues > 0)
    notes.push(`${formatCount(unopenedValues)} ${unopenedValues === 1 ? "value does" : "values do"} not open; the code says why`);
  if (unopenedRows > 0) {
    const what = unopenedRows === 1 ? "1 row may match, too, but does" : `${formatCount(unopenedRows)} rows may match, too, but do`;
    notes.push(`${what} not open:\n${formatProblems(firstUnopened, unopenedRows)}`);
  }
  if (more) notes.push("there are more: give a larger --limit");
  return notes;
}

function formatRows(rows: readonly FoundRow[]): string {
  const keys = [...new Set(rows.flatMap(({ row }) => Object.keys(row)))];
  const names = [...new Set(rows.flatMap(({ values, unopened }) => Object.keys({ ...values, ...unopened })))];
  if (rows.length === 0) return "";
  return formatTable(rows, [
    ...keys.map((name) => ({ title: name, cell: ({ row }: FoundRow) => row[name] })),
    ...names.map((name) => ({ title: name, cell: (found: FoundRow) => shownValue(found, name) })),
  ]);
}

function shownValue({ values, unopened }: FoundRow, name: string): string {
  const code = Object.hasOwn(unopened, name) ? unopened[name] : undefined;
  return code === undefined ? displayedValue(values[name]) : `(${code})`;
}
