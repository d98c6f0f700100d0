import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { KeysteadError } from "../../errors.ts";
import type { DatasetInfo, DatasetInput } from "../../index.ts";
import { columnSyntax, contextTypeSyntax, indexSyntax, parseColumn, parseContextTypes, parseIndex } from "../dataset-definition.ts";
import { formatDataset } from "../dataset-text.ts";
import type { DataFolder } from "../data-folder.ts";
import { unreadable } from "../file-failures.ts";
import { examples, parsePairs, repeatable } from "../options.ts";
import { assertFolder } from "../remote.ts";
import { type Session, useFolder, withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";
import { addDatasetGenerations } from "./dataset-generations.ts";
import { addDatasetShadows } from "./dataset-shadows.ts";
import { addDatasetJobs } from "./dataset-jobs.ts";
import { addDatasetSearches } from "./dataset-searches.ts";

interface AddFlags {
  readonly database?: string;
  readonly url?: string;
  readonly table?: string;
  readonly keyColumns?: string;
  readonly column: readonly string[];
  readonly index: readonly string[];
  readonly indexKey?: string;
  readonly context: readonly string[];
  readonly contextType: readonly string[];
  readonly definition?: string;
}

/** Adds `datasets`. */
export function addDatasetCommands(program: Command): void {
  const datasets = program
    .command("datasets")
    .description("Tables that hold protected data, and moving what is in them.")
    .addHelpText(
      "after",
      examples(
        "keystead datasets add crm.person --url sqlite:./crm.db --definition person.json",
        "keystead datasets protect crm.person",
        "keystead datasets census crm.person",
        "keystead datasets reencrypt crm.person",
      ),
    );
  addAdd(datasets);
  addLooking(datasets);
  addDatasetJobs(datasets);
  addDatasetSearches(datasets);
  addDatasetGenerations(datasets);
  addDatasetShadows(datasets);
}

function addAdd(datasets: Command): void {
  datasets
    .command("add")
    .description("Register a table. Nothing in it is changed.")
    .argument("<name>", "logical name of the dataset; it stays when the table is renamed")
    .option("--database <name>", "name of the database in keystead.json")
    .option("--url <url>", "where that database is; recorded in keystead.json: sqlite:./crm.db, postgresql://USER@HOST/DATABASE")
    .option("--table <table>", "table; in PostgreSQL schema.table, or a table in public")
    .option("--key-columns <columns>", "columns that identify a row, joined by commas")
    .addOption(repeatable("--column <spec>", `column to protect: ${columnSyntax}`))
    .addOption(repeatable("--index <spec>", `blind index: ${indexSyntax}`))
    .option("--index-key <key>", "key of indexes that name none")
    .addOption(
      repeatable("--context <name=template>", "what values are bound to, like tenant={tenant_id} (default: dataset and key columns)"),
    )
    .addOption(repeatable("--context-type <column=type>", `type of a context column, where the table does not tell: ${contextTypeSyntax}`))
    .addOption(
      new Option("--definition <file>", "all of it as JSON instead").conflicts([
        "database",
        "table",
        "keyColumns",
        "column",
        "index",
        "context",
        "contextType",
      ]),
    )
    .addHelpText(
      "after",
      examples(
        "keystead datasets add crm.person --database crm --url sqlite:./crm.db \\",
        "    --table person --key-columns id \\",
        "    --column email=pii-email --column iban=financial-iban \\",
        "    --index email_index=email,normaliser=email --index phone_last4=phone,kind=last4,normaliser=digits \\",
        "    --index-key pii-index",
        "keystead datasets add crm.person --url sqlite:./crm.db --definition person.json",
      ).replaceAll("$     --", "      --"),
    )
    .addHelpText(
      "after",
      `
A definition (person.json):
  {
    "database": "crm",
    "table": "person",
    "keyColumns": ["id"],
    "columns": { "email": { "key": "pii-email" }, "iban": { "key": "financial-iban", "column": "iban_text" } },
    "indexes": {
      "email": { "columns": ["email"], "column": "email_index", "key": "pii-index", "kind": "exact", "normalisers": ["email"], "bits": 13 }
    },
    "context": { "tenant": "{tenant_id}", "row": "{id}" }
  }
What may be left out: column (the name), indexes, bits, context, kind of a column.

Kinds of index: exact, last4 or last(4) (the last 4 characters), soundex, metaphone, compound.
Normalisers:    text (when none is named), none, trim, nfkc, casefold, digits, email, phone, phone-DE or phone(DE) (without a country code: German).
Bits:           fewer hide more and find more in vain; when none are named, as \`datasets index --plan\` advises.`,
    )
    .action(addDataset);
}

async function addDataset(name: string, flags: AddFlags, command: Command): Promise<void> {
  const add = async ({ keystead, output }: Pick<Session, "keystead" | "output">): Promise<void> => {
    const added = await keystead.datasets.add(name, input);
    await output.result(added, () => formatDataset(added));
    for (const advice of added.advice) output.note(`advice: ${advice}`);
    output.note(
      `protect what is in it with \`keystead datasets protect ${name}\`; what another system encrypted is taken in by \`keystead datasets reencrypt ${name} --from CODEC\` instead`,
    );
  };
  if (flags.url !== undefined) assertFolder(command, "--url", "is recorded in keystead.json where the server runs");
  const input = flags.definition === undefined ? inputOf(flags) : await readDefinition(flags.definition);
  if (flags.url === undefined) return withKeystead(command, add);
  const { DataFolder, folderOf } = await import("../data-folder.ts");
  const folder = await DataFolder.open(folderOf(command));
  const recorded = await recordDatabase(folder, input.database, flags.url);
  try {
    await useFolder(folder, command, add);
  } catch (error) {
    if (recorded) await forgetDatabase(folder, input.database);
    throw error;
  }
}

function addLooking(datasets: Command): void {
  datasets
    .command("list")
    .description("List datasets.")
    .addHelpText("after", examples("keystead datasets list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.datasets.list();
        await output.result(found, () => formatTable(found, columns));
      }),
    );
  datasets
    .command("show")
    .description("Show the definition of a dataset and the state of its indexes.")
    .argument("<name>", "name of a dataset")
    .addHelpText("after", examples("keystead datasets show crm.person"))
    .action((name: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const dataset = await keystead.datasets.show(name);
        await output.result(dataset, () => formatDataset(dataset));
      }),
    );
}

function inputOf(flags: AddFlags): DatasetInput {
  const { database, table, keyColumns } = flags;
  const missing = Object.entries({ "--database": database, "--table": table, "--key-columns": keyColumns }).find(
    ([, value]) => value === undefined,
  );
  if (missing !== undefined || database === undefined || table === undefined || keyColumns === undefined) {
    throw new KeysteadError("INVALID_ARGUMENT", `${missing?.[0] ?? "an option"} is missing; give it, or everything in --definition FILE`);
  }
  return {
    database,
    table,
    keyColumns: keyColumns.split(","),
    columns: unique(flags.column.map(parseColumn), "column"),
    indexes: unique(
      flags.index.map((text) => parseIndex(text, flags.indexKey)),
      "index",
    ),
    ...(flags.context.length > 0 && { context: parsePairs(flags.context, "context pair") }),
    contextTypes: parseContextTypes(flags.contextType),
  };
}

async function readDefinition(file: string): Promise<DatasetInput> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw unreadable(`the definition ${file}`, cause);
  });
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    throw new KeysteadError("INVALID_ARGUMENT", `the definition ${file} is not JSON; correct it`);
  }
  if (isDefinition(input)) return input;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `the definition ${file} is no object with database, table, keyColumns, columns; \`keystead datasets add --help\` shows one`,
  );
}

/** Enough to hand it to the engine, which checks all of it. */
function isDefinition(input: unknown): input is DatasetInput {
  return typeof input === "object" && input !== null && "database" in input && typeof input.database === "string";
}

/** Names the database in the configuration. Returns true when it was not named there before. */
async function recordDatabase(folder: DataFolder, database: string, url: string): Promise<boolean> {
  const { absoluteUrl, assertNoPassword, configuredUrl } = await import("../configuration.ts");
  const given = absoluteUrl(assertNoPassword(url), process.cwd());
  const known = folder.configuration.databases[database];
  if (known !== undefined) {
    if (absoluteUrl(known, folder.path) === given) return false;
    throw new KeysteadError("CONFLICT", `keystead.json says that database ${database} is ${known}; change it there, or leave out --url`);
  }
  await folder.change((configuration) => ({
    ...configuration,
    databases: { ...configuration.databases, [database]: configuredUrl(given, resolve(folder.path)) },
  }));
  return true;
}

async function forgetDatabase(folder: DataFolder, database: string): Promise<void> {
  await folder.change((configuration) => ({
    ...configuration,
    databases: Object.fromEntries(Object.entries(configuration.databases).filter(([name]) => name !== database)),
  }));
}

function unique<T>(entries: readonly (readonly [string, T])[], what: string): Record<string, T> {
  const names = entries.map(([name]) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `${what} ${twice} is given twice`);
  return Object.fromEntries(entries);
}

const columns: readonly TableColumn<DatasetInfo>[] = [
  { title: "dataset", cell: ({ name }) => name },
  { title: "database", cell: ({ database }) => database },
  { title: "table", cell: ({ table }) => table },
  { title: "columns", cell: (dataset) => dataset.columns.map(({ name }) => name).join(",") },
  {
    title: "indexes",
    cell: ({ indexes }) =>
      indexes
        .filter(({ state }) => state !== "retired")
        .map(({ index, generation, state, searched }) => {
          const name = searched ? index : `${index}/${String(generation)}`;
          return state === "live" ? name : `${name} (${state})`;
        })
        .join(","),
  },
];
