import { type Command, Option } from "commander";
import { KeysteadError } from "../../errors.ts";
import type { FoundRow } from "../../index.ts";
import { formatCensuses } from "../census-text.ts";
import { openSource, readLines } from "../data-streams.ts";
import { examples, wholeNumber } from "../options.ts";
import { withKeystead } from "../session.ts";
import { stoppable } from "../signals.ts";
import { formatTable } from "../table.ts";
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
        const names = name === undefined ? (await service.list()).map((dataset) => dataset.name) : [name];
        const censuses = await stoppable(async (signal) => {
          const taken = [];
          for (const dataset of names) taken.push(await service.takeCensus(dataset, signal));
          return taken;
        });
        await output.result(name === undefined ? censuses : censuses[0], () => formatCensuses(censuses));
      }),
    );
}

function addFind(datasets: Command): void {
  datasets
    .command("find")
    .description("Find rows by a blind index; every hit is opened and compared.")
    .argument("<dataset>", "name of a dataset")
    .argument("<index>", "name of an index")
    .argument("<values...>", "one value for each column of the index; - reads them from stdin, one a line")
    .option("--limit <rows>", "rows that are opened at most (default: 1000)", wholeNumber(1))
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
        const rows = await keystead.datasets.find(dataset, index, search, limit === undefined ? {} : { limit });
        const json = rows.map(({ row, values: found }) => ({
          row,
          values: Object.fromEntries(Object.entries(found).map(([name, value]) => [name, jsonValue(value)])),
        }));
        await output.result(json, () => formatRows(rows));
        output.note(`${rows.length} ${rows.length === 1 ? "row" : "rows"} found`);
      }),
    );
}

async function readSearch(): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(await openSource(undefined))) lines.push(line.toString("utf8"));
  return lines;
}

function formatRows(rows: readonly FoundRow[]): string {
  const keys = [...new Set(rows.flatMap(({ row }) => Object.keys(row)))];
  const names = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  if (rows.length === 0) return "";
  return formatTable(rows, [
    ...keys.map((name) => ({ title: name, cell: ({ row }: FoundRow) => row[name] })),
    ...names.map((name) => ({ title: name, cell: ({ values }: FoundRow) => displayedValue(values[name]) })),
  ]);
}
