import { instant } from "../keys/key-records.ts";
import type { StoreTables } from "../store/store.ts";
import type { ContextTypes } from "./context-types.ts";
import type { Dataset } from "./dataset-records.ts";
import type { DatasetDefinition, ProtectedColumn } from "./definition.ts";
import { describeGeneration, type IndexGenerationInfo } from "./index-generations.ts";

/** A dataset as services report it. */
export interface DatasetInfo {
  readonly id: string;
  readonly name: string;
  readonly database: string;
  readonly table: string;
  readonly keyColumns: readonly string[];
  readonly columns: readonly ProtectedColumn[];
  readonly context: Readonly<Record<string, string>>;
  /** How the values of the context's columns are written, by physical column. */
  readonly contextTypes: ContextTypes;
  /** While a `recontext` is under way: the template it moves to, with the types of its columns. */
  readonly nextContext?: Readonly<Record<string, string>>;
  readonly nextContextTypes?: ContextTypes;
  /** Templates under which a `recontext` left values that did not open, oldest first. */
  readonly formerContexts: DatasetDefinition["formerContexts"];
  readonly indexes: readonly IndexGenerationInfo[];
  readonly createdAt: string;
}

/** What registering found out. */
export interface AddedDataset extends DatasetInfo {
  readonly rows: number;
  /** What would make work on the table faster or safer. */
  readonly advice: readonly string[];
}

/** Describes a dataset with the generations of its indexes. */
export async function describeDataset(tables: StoreTables, { id, name, definition, createdAt }: Dataset): Promise<DatasetInfo> {
  const generations = await tables.indexGenerations.list({ datasetId: id });
  const { database, table, keyColumns, columns, context, contextTypes, nextContext, nextContextTypes, formerContexts } = definition;
  return {
    id,
    name,
    database,
    table,
    keyColumns,
    columns,
    context,
    contextTypes,
    ...(nextContext !== null && { nextContext, nextContextTypes }),
    formerContexts,
    indexes: generations.map((row) => describeGeneration(row, definition)),
    createdAt: instant(createdAt),
  };
}
