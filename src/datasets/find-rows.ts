import type { FieldValue } from "../crypto/typed-value.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { cellToKeyText, plaintextToValue, readCell } from "./cells.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { openIndexes } from "./index-generations.ts";
import { DatasetKeys } from "./job-keys.ts";
import { rowContexts } from "./row-context.ts";
import { indexedValues, type RowIndex } from "./row-indexes.ts";
import { KeyNeeded } from "./row-tasks.ts";
import { open } from "./sealed-content.ts";
import type { SourceRow } from "./source.ts";

const defaultLimit = 1000;
const largestLimit = 100_000;

/** How much a search may return. */
export interface FindOptions {
  /** Rows that are opened at most, 1–100,000; 1,000 when absent. */
  readonly limit?: number;
}

/** A row that a search found and opened. */
export interface FoundRow {
  /** Key columns, as text. */
  readonly row: Readonly<Record<string, string>>;
  /** Protected columns, opened, by logical name; a value that does not open is left out, NULL is null. */
  readonly values: Readonly<Record<string, FieldValue | null>>;
}

/** Searches a blind index: one query over all live generations, then every hit is opened and compared. */
export async function findRows(
  engine: Engine,
  databases: Databases,
  dataset: Dataset,
  indexName: string,
  search: readonly (string | number | bigint)[],
  { limit = defaultLimit }: FindOptions,
): Promise<FoundRow[]> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > largestLimit) {
    throw new KeysteadError("INVALID_ARGUMENT", `a search returns 1 to ${String(largestLimit)} rows; give a limit in these bounds`);
  }
  const keys = new DatasetKeys(engine, dataset.id, "open");
  const source = await databases.open(dataset.definition.database, layoutOf(dataset.definition));
  try {
    const index = await selectIndex(engine, dataset, indexName, search.length, keys);
    const rows = await source.findByTokens(index.column, [...index.blind.queryTokens(search)], limit);
    const found: FoundRow[] = [];
    for (const row of rows) {
      const plaintexts = await openRow(dataset, row, keys, engine);
      if (!index.blind.matches(indexedValues(index, plaintexts), search)) continue;
      found.push({ row: keyTexts(dataset, row), values: rowValues(dataset, row, plaintexts) });
    }
    return found;
  } finally {
    await keys.close();
    await source.close();
  }
}

async function selectIndex(engine: Engine, dataset: Dataset, name: string, columns: number, keys: DatasetKeys): Promise<RowIndex> {
  const indexes = await openIndexes(engine, dataset, keys);
  const index = indexes.find((candidate) => candidate.name === name);
  if (index === undefined) {
    const names = indexes.map((candidate) => candidate.name).join(", ") || "none";
    throw new KeysteadError("INVALID_ARGUMENT", `dataset ${dataset.name} has no index of this name; it has: ${names}`);
  }
  if (!index.complete) {
    throw new KeysteadError(
      "JOB_INCOMPLETE",
      `index ${name} does not cover every row yet; run \`keystead datasets index ${dataset.name}\``,
    );
  }
  if (index.columns.length !== columns) {
    throw new KeysteadError("INVALID_ARGUMENT", `index ${name} is over ${index.columns.join(", ")}; give one value for each`);
  }
  return index;
}

/** The plaintext of every protected value of a row that opens, by logical column; undefined for NULL. */
export async function openRow(
  dataset: Dataset,
  row: SourceRow,
  keys: DatasetKeys,
  engine: Engine,
): Promise<Map<string, Uint8Array | undefined>> {
  const contextsOf = rowContexts(dataset.definition).row(row.cells);
  const plaintexts = new Map<string, Uint8Array | undefined>();
  for (const { name, column, kind } of dataset.definition.columns) {
    const cell = row.cells[column];
    const content = cell === undefined ? { kind: "null" as const } : readCell(cell);
    if (content.kind === "null") plaintexts.set(name, undefined);
    if (content.kind !== "ciphertext") continue;
    const opened = await retrying(keys, engine, () => open(content.sealed, { kind, opener: keys.named }, contextsOf(name)));
    if (opened !== undefined) plaintexts.set(name, opened);
  }
  return plaintexts;
}

/** Opens with keys loaded on demand; undefined for what doesn't open. */
async function retrying(keys: DatasetKeys, engine: Engine, work: () => Buffer): Promise<Buffer | undefined> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (error instanceof KeyNeeded) await keys.openNamed(error.keyName);
      else if (isKeysteadError(error, "KEY_VERSION_NOT_LOADED") || isKeysteadError(error, "KEY_LEASE_EXPIRED"))
        await engine.registry.refresh();
      else if (error instanceof KeysteadError) return undefined;
      else throw error;
    }
  }
}

function keyTexts(dataset: Dataset, row: SourceRow): Record<string, string> {
  return Object.fromEntries(
    dataset.definition.keyColumns.map((column) => {
      const cell = row.cells[column];
      return [column, (cell === undefined ? undefined : cellToKeyText(cell)) ?? ""];
    }),
  );
}

function rowValues(
  dataset: Dataset,
  row: SourceRow,
  plaintexts: ReadonlyMap<string, Uint8Array | undefined>,
): Record<string, FieldValue | null> {
  const values: Record<string, FieldValue | null> = {};
  for (const { name, column, kind } of dataset.definition.columns) {
    if (!plaintexts.has(name)) continue;
    const plaintext = plaintexts.get(name);
    const form = row.cells[column]?.type === "blob" ? "binary" : "text";
    const value = plaintext === undefined ? null : plaintextToValue(plaintext, kind, form);
    if (value !== undefined) values[name] = value;
  }
  return values;
}
