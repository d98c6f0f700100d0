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
import type { Dataset } from "./dataset-records.ts";
import type { DatasetIndex } from "./definition.ts";
import type { DatasetKeys } from "./job-keys.ts";
import type { RowIndex } from "./row-indexes.ts";

/** A generation of a blind index, as services report it. */
export interface IndexGenerationInfo {
  readonly index: string;
  readonly generation: number;
  /** `building`: rows may lack tokens, so searches are refused. `live`: searches are complete. */
  readonly state: "building" | "live" | "retired";
  readonly kind: string;
  readonly normaliser: string;
  readonly bits: number;
  /** What changed in the normalisers or in Unicode since it was defined: some values may be missed. */
  readonly drift: readonly string[];
}

/**
 * The first generation of an index, to be stored with its dataset.
 * @throws KeysteadError `KEY_USAGE`, `KEY_STATE` when the key's current version protects nothing new
 */
export async function firstGeneration(
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
  const spec = createIndexSpec(index, { datasetId, generation: 1, keyVersion: key.currentVersion });
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

/** Opens indexes of a dataset, all unless some are named, with the generations that are in use. */
export async function openIndexes(
  engine: Engine,
  dataset: Dataset,
  keys: DatasetKeys,
  indexes: readonly DatasetIndex[] = dataset.definition.indexes,
): Promise<RowIndex[]> {
  const rows = await engine.store.read((tables) => tables.indexGenerations.list({ datasetId: dataset.id }));
  const opened: RowIndex[] = [];
  for (const { name, column, columns, key } of indexes) {
    const generations = rows.filter((row) => row.indexName === name && row.state !== "retired");
    if (generations.length === 0) continue;
    const blind = BlindIndex.open(await keys.open(key), generations.map(specOf));
    const kinds = columns.map(
      (logical) => dataset.definition.columns.find((protectedColumn) => protectedColumn.name === logical)?.kind ?? "typed",
    );
    opened.push({ name, column, columns, kinds, blind, complete: generations.every((row) => row.state === "live") });
  }
  return opened;
}

/** What differs once a generation of an index has come, or has changed its state, be it back and forth. */
export async function indexRevision(tables: StoreTables, datasetId: string, indexName: string): Promise<string> {
  const rows = await tables.indexGenerations.list({ datasetId });
  const ofIndex = rows.filter((row) => row.indexName === indexName);
  return ofIndex.map(({ generation, rowVersion }) => `${String(generation)}/${String(rowVersion)}`).join();
}

/** Marks generations as complete: from then on searches are answered. */
export async function completeGenerations(tables: StoreTables, datasetId: string): Promise<void> {
  for (const row of await tables.indexGenerations.list({ datasetId, state: "building" }))
    await tables.indexGenerations.update({ ...row, state: "live" });
}

/** Takes that back: rows lose their tokens, so searches are refused until the indexes are filled again. */
export async function reopenGenerations(tables: StoreTables, datasetId: string): Promise<void> {
  for (const row of await tables.indexGenerations.list({ datasetId, state: "live" }))
    await tables.indexGenerations.update({ ...row, state: "building" });
}

/** The indexes of a dataset as a field specification takes them, by physical column. */
export async function registeredIndexes(tables: StoreTables, dataset: Dataset): Promise<Record<string, RegisteredIndexDefinition>> {
  const rows = await tables.indexGenerations.list({ datasetId: dataset.id });
  return Object.fromEntries(
    dataset.definition.indexes.map(({ name, column, key }) => [
      column,
      { key, generations: rows.filter((row) => row.indexName === name && row.state !== "retired").map(specOf) },
    ]),
  );
}

/** What is reported of a generation. */
export function describeGeneration(row: StoredRecord<"indexGenerations">): IndexGenerationInfo {
  const state = row.state === "live" || row.state === "building" ? row.state : "retired";
  return {
    index: row.indexName,
    generation: row.generation,
    state,
    kind: row.kind,
    normaliser: row.normaliser,
    bits: row.bits,
    drift: findIndexDrift(specOf(row)).map(({ what, then, now }) => `${what} was ${then}, is ${now}`),
  };
}

function specOf(row: StoredRecord<"indexGenerations">): IndexSpec {
  const columns: unknown = JSON.parse(row.columns);
  const { datasetId, kind, normaliser, normaliserVersion, unicodeVersion, bits, generation, keyVersion } = row;
  const names = Array.isArray(columns) ? columns.map(String) : [];
  return { datasetId, columns: names, kind, normaliser, normaliserVersion, unicodeVersion, bits, generation, keyVersion };
}
