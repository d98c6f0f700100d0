import type { IndexSpec } from "../crypto/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import type { RegisteredIndexDefinition } from "../fields/field-specification.ts";
import { BlindIndex, createIndexSpec, findIndexDrift } from "../fields/blind-index.ts";
import type { Engine } from "../keys/engine.ts";
import { findKey, findVersion } from "../keys/key-records.ts";
import { describeVersion } from "../keys/keyset.ts";
import { permits } from "../keys/version-state.ts";
import type { StoreTables } from "../store/store.ts";
import type { NewRecord, StoredRecord } from "../store/tables.ts";
import { type Dataset, saveDefinition } from "./dataset-records.ts";
import type { DatasetDefinition, DatasetIndex } from "./definition.ts";
import type { DatasetKeys } from "./job-keys.ts";
import { indexedColumns, type RowIndex } from "./row-indexes.ts";

/** A stored generation of a blind index. */
export type GenerationRow = StoredRecord<"indexGenerations">;

/**
 * Where a generation is in its life. `building`: rows may lack tokens. `live`: every row has its token. `leaving`: it is written no
 * more and its tokens are taken away. `retired`: nothing is left of it.
 */
export type GenerationState = "building" | "live" | "leaving" | "retired";

/** A generation of a blind index, as services report it. */
export interface IndexGenerationInfo {
  readonly index: string;
  readonly generation: number;
  readonly state: GenerationState;
  /** True for the one that searches ask; they are refused until it is live. */
  readonly searched: boolean;
  /** Physical column of its tokens. */
  readonly column: string;
  readonly kind: string;
  readonly normaliser: string;
  readonly bits: number;
  /** Number of the version of its key. */
  readonly keyVersion: number;
  /** What changed in the normalisers or in Unicode since it was defined: some values may be missed. */
  readonly drift: readonly string[];
}

/**
 * The next generation of an index, its first one included, to be stored with its dataset. It is made with the key's current version.
 * @throws KeysteadError `KEY_USAGE`, `KEY_STATE` when that version protects nothing new
 */
export async function newGeneration(
  tables: StoreTables,
  datasetId: string,
  index: DatasetIndex,
  now: number,
): Promise<NewRecord<"indexGenerations">> {
  const key = await findKey(tables, index.key);
  if (!key.usages.split(",").includes("blind-index") || key.currentVersion === null) {
    throw new KeysteadError(
      "KEY_USAGE",
      `index ${index.name} needs a key of usage blind-index with a current version; key ${key.name} is none`,
    );
  }
  const { label, phase } = describeVersion(await findVersion(tables, key, key.currentVersion));
  if (!permits(phase, "seal")) {
    throw new KeysteadError(
      "KEY_STATE",
      `index ${index.name} would be made with version ${label} of key ${key.name}, which is ${phase}; run \`keystead keys rotate ${key.name}\` first`,
    );
  }
  const before = (await tables.indexGenerations.list({ datasetId })).filter((row) => row.indexName === index.name);
  const generation = 1 + Math.max(0, ...before.map((row) => row.generation));
  const spec = createIndexSpec(index, { datasetId, generation, keyVersion: key.currentVersion });
  return {
    datasetId,
    indexName: index.name,
    generation: spec.generation,
    column: index.column,
    columns: JSON.stringify(spec.columns),
    kind: spec.kind,
    normaliser: spec.normaliser,
    normaliserVersion: spec.normaliserVersion,
    unicodeVersion: spec.unicodeVersion,
    bits: spec.bits,
    parameters: "{}",
    keyId: key.id,
    keyVersion: spec.keyVersion,
    state: "building",
    createdAt: now,
  };
}

/** The generations of a dataset's indexes, all of them or those that have a column. */
export async function usedGenerations(tables: StoreTables, datasetId: string): Promise<GenerationRow[]> {
  return (await tables.indexGenerations.list({ datasetId })).filter((row) => row.state !== "retired");
}

/** Opens every generation that has a column, for jobs. */
export async function openIndexes(engine: Engine, { id, definition }: Dataset, keys: DatasetKeys): Promise<RowIndex[]> {
  const rows = await engine.store.read((tables) => usedGenerations(tables, id));
  const opened: RowIndex[] = [];
  for (const { name, columns, key } of definition.indexes) {
    for (const row of rows.filter((candidate) => candidate.indexName === name)) {
      const blind = row.state === "leaving" ? undefined : BlindIndex.open(await keys.open(key), [specOf(row)]);
      opened.push({ name, column: row.column, ...indexedColumns(definition.columns, columns), blind });
    }
  }
  return opened;
}

/** Marks generations as complete: every row has its token. */
export async function completeGenerations(tables: StoreTables, datasetId: string): Promise<void> {
  for (const row of await tables.indexGenerations.list({ datasetId, state: "building" }))
    await tables.indexGenerations.update({ ...row, state: "live" });
}

/** Takes that back: rows lose their tokens, so searches are refused until the indexes are filled again. */
export async function reopenGenerations(tables: StoreTables, datasetId: string): Promise<void> {
  for (const row of await tables.indexGenerations.list({ datasetId, state: "live" }))
    await tables.indexGenerations.update({ ...row, state: "building" });
}

/** Retires the generations that are being dropped and whose columns are empty; those columns are the dataset's no more. */
export async function retireGenerations(tables: StoreTables, datasetId: string, filled: ReadonlySet<string>): Promise<void> {
  const leaving = await tables.indexGenerations.list({ datasetId, state: "leaving" });
  const emptied = leaving.filter(({ column }) => !filled.has(column));
  if (emptied.length === 0) return;
  for (const row of emptied) await tables.indexGenerations.update({ ...row, state: "retired" });
  const columns = new Set(emptied.map(({ column }) => column));
  await saveDefinition(tables, datasetId, (definition) => ({
    ...definition,
    indexes: definition.indexes.map((index) => (columns.has(index.otherColumn ?? "") ? { ...index, otherColumn: null } : index)),
  }));
}

/** The indexes of a dataset as a field specification takes them, by physical column: one for each generation that is written. */
export async function registeredIndexes(tables: StoreTables, dataset: Dataset): Promise<Record<string, RegisteredIndexDefinition>> {
  const rows = await usedGenerations(tables, dataset.id);
  return Object.fromEntries(
    dataset.definition.indexes.flatMap(({ name, column, key }) =>
      rows
        .filter(({ indexName, state }) => indexName === name && state !== "leaving")
        .map((row) => [row.column, { key, index: name, searched: row.column === column, generations: [specOf(row)] }]),
    ),
  );
}

/** What is reported of a generation. */
export function describeGeneration(row: GenerationRow, { indexes }: DatasetDefinition): IndexGenerationInfo {
  const state = stateOf(row);
  const inUse = state !== "retired";
  return {
    index: row.indexName,
    generation: row.generation,
    state,
    searched: inUse && indexes.some(({ name, column }) => name === row.indexName && column === row.column),
    column: row.column,
    kind: row.kind,
    normaliser: row.normaliser,
    bits: row.bits,
    keyVersion: row.keyVersion,
    drift: inUse ? findIndexDrift(specOf(row)).map(({ what, then, now }) => `${what} was ${then}, is ${now}`) : [],
  };
}

/** What a generation is made of. */
export function specOf(row: GenerationRow): IndexSpec {
  const columns: unknown = JSON.parse(row.columns);
  const { datasetId, kind, normaliser, normaliserVersion, unicodeVersion, bits, generation, keyVersion } = row;
  const names = Array.isArray(columns) ? columns.map(String) : [];
  return { datasetId, columns: names, kind, normaliser, normaliserVersion, unicodeVersion, bits, generation, keyVersion };
}

function stateOf({ state }: GenerationRow): GenerationState {
  return state === "live" || state === "building" || state === "leaving" ? state : "retired";
}
