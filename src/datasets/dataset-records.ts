import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { type DatasetDefinition, type DatasetIndex, indexColumns, isShadow, readDefinition } from "./definition.ts";
import { placeholdersOf } from "./placeholders.ts";
import type { SourceLayout } from "./source.ts";

/** A registered dataset. */
export interface Dataset {
  readonly id: string;
  readonly name: string;
  readonly definition: DatasetDefinition;
  readonly createdAt: number;
}

/** Finds a dataset by its logical name. @throws KeysteadError `UNKNOWN_DATASET` naming those that are registered */
export async function findDataset(tables: StoreTables, name: string): Promise<Dataset> {
  const found = await readDataset(tables, name);
  if (found !== undefined) return found;
  const known = (await tables.datasets.list()).map((dataset) => dataset.name).join(", ") || "none";
  throw new KeysteadError(
    "UNKNOWN_DATASET",
    `no dataset is named ${JSON.stringify(name.slice(0, 128))}; registered: ${known} (\`keystead datasets add\`)`,
  );
}

/** A dataset by its logical name; undefined when none has it. */
export async function readDataset(tables: StoreTables, name: string): Promise<Dataset | undefined> {
  const [row] = await tables.datasets.list({ name });
  return row && toDataset(row);
}

/** Every dataset ever registered. */
export async function listDatasets(tables: StoreTables): Promise<Dataset[]> {
  return (await tables.datasets.list()).map(toDataset).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Replaces a dataset's definition. */
export async function saveDefinition(
  tables: StoreTables,
  id: string,
  change: (definition: DatasetDefinition) => DatasetDefinition,
): Promise<Dataset> {
  const row = await tables.datasets.get({ id });
  if (row === undefined) throw new KeysteadError("UNKNOWN_DATASET", "the dataset is gone; list datasets with `keystead datasets list`");
  const definition = change(toDataset(row).definition);
  return toDataset(await tables.datasets.update({ ...row, definition: JSON.stringify(definition) }));
}

/** An index of a dataset. @throws KeysteadError `INVALID_ARGUMENT` naming those that it has */
export function findIndex({ name, definition }: Dataset, indexName: string): DatasetIndex {
  const index = definition.indexes.find((candidate) => candidate.name === indexName);
  if (index !== undefined) return index;
  const names = definition.indexes.map((candidate) => candidate.name).join(", ") || "none";
  throw new KeysteadError("INVALID_ARGUMENT", `dataset ${name} has no index of this name; it has: ${names}`);
}

/** The physical columns that a dataset touches. */
export function layoutOf(definition: DatasetDefinition): SourceLayout {
  const { table, keyColumns, columns, indexes, context, nextContext } = definition;
  const used = [...placeholdersOf(context), ...placeholdersOf(nextContext ?? {})];
  const contextColumns = [...new Set(used)].filter((name) => !keyColumns.includes(name));
  return {
    table,
    keyColumns,
    valueColumns: columns.map((column) => column.column),
    keyNameLengths: Object.fromEntries(columns.map(({ column, key }) => [column, key.length])),
    contextColumns,
    indexColumns: indexes.flatMap(indexColumns),
    plaintextColumns: columns.filter(isShadow).map(({ plaintext }) => plaintext.column),
  };
}

function toDataset(row: StoredRecord<"datasets">): Dataset {
  return { id: row.id, name: row.name, definition: readDefinition(row.definition), createdAt: row.createdAt };
}
