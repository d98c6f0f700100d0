import { isDeepStrictEqual } from "node:util";
import { createIndexRecipe, type IndexRecipe } from "../fields/blind-index.ts";
import { type IndexPlan, planIndex } from "../fields/index-planner.ts";
import { ValueFrequencies } from "../fields/value-frequencies.ts";
import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { cellToPlaintext, readCell } from "./cells.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { assertProtected, type DatasetDefinition, type DatasetIndex } from "./definition.ts";
import { DatasetKeys } from "./job-keys.ts";
import { indexedColumns, type IndexedColumns, indexedValues } from "./row-indexes.ts";
import { RowOpener } from "./row-opener.ts";
import type { SourceRow } from "./source.ts";

const pageRows = 1000;

/** What the planner needs to know of an index that may not exist yet. */
export type PlannedIndex = Pick<DatasetIndex, "columns" | "kind" | "normalisers">;

/** An index whose values are counted. */
interface CountedIndex extends IndexedColumns {
  readonly recipe: IndexRecipe;
  readonly frequencies: ValueFrequencies;
}

/**
 * Counts how often each indexed value really occurs in a table, plaintext and protected rows alike, in bounded memory, and
 * advises how many bits of a token to keep.
 * @param others indexes that the rows have, or will have. Bits of those over a column of this one are taken off: they add up.
 * @throws KeysteadError `INVALID_ARGUMENT` for unknown columns, kinds and normalisers, `DATABASE_FAILED`
 */
export async function planDatasetIndex(
  engine: Engine,
  databases: Databases,
  dataset: Dataset,
  index: PlannedIndex,
  others: readonly DatasetIndex[],
): Promise<IndexPlan> {
  const { definition } = dataset;
  assertProtected(definition.columns, index.columns, "the index");
  const planned = countedIndex(definition, index);
  const beside = others
    .filter(({ columns }) => columns.some((name) => index.columns.includes(name)))
    .map((other) => ({ bits: other.bits, counted: countedIndex(definition, other) }));
  await countRows(engine, databases, dataset, [planned, ...beside.map(({ counted }) => counted)]);
  const existing = beside.map(({ bits, counted }) => ({ bits, inputBits: Math.log2(Math.max(1, distinctValues(counted))) }));
  return planIndex(planned.frequencies.table(), existing);
}

/** The indexes beside a planned one: one that holds just the same is the planned one itself. */
export function indexesBeside({ indexes }: DatasetDefinition, planned: PlannedIndex): readonly DatasetIndex[] {
  const content = ({ columns, kind, normalisers }: PlannedIndex): unknown => [columns, kind, normalisers];
  return indexes.filter((index) => !isDeepStrictEqual(content(index), content(planned)));
}

function countedIndex(definition: DatasetDefinition, { columns, kind, normalisers }: PlannedIndex): CountedIndex {
  return {
    ...indexedColumns(definition.columns, columns),
    recipe: createIndexRecipe({ columns, kind, normaliser: normalisers.join(",") }),
    frequencies: new ValueFrequencies(),
  };
}

function distinctValues({ frequencies }: CountedIndex): number {
  return frequencies.table().frequencies.reduce((sum, { values }) => sum + values, 0);
}

async function countRows(engine: Engine, databases: Databases, dataset: Dataset, indexes: readonly CountedIndex[]): Promise<void> {
  const names = indexes.flatMap(({ columns }) => columns);
  const keys = new DatasetKeys(engine, dataset, { action: "datasets.plan-index", opening: "open" });
  const opener = new RowOpener(dataset, keys);
  const source = await databases.open(dataset.definition.database, layoutOf(dataset.definition));
  try {
    let cursor: string | undefined;
    do {
      const page = await source.readPage(cursor, pageRows);
      for (const row of page.rows) {
        const plaintexts = await readRow(opener, row, names);
        for (const index of indexes) index.frequencies.add(valuesOrNothing(() => index.recipe.values(indexedValues(index, plaintexts))));
      }
      cursor = page.next;
    } while (cursor !== undefined);
  } finally {
    await keys.close();
    await source.close();
  }
}

/** Opens what is protected and takes plaintext as it is. */
async function readRow(opener: RowOpener, row: SourceRow, names: readonly string[]): Promise<Map<string, Uint8Array | undefined>> {
  const plaintexts = new Map<string, Uint8Array | undefined>();
  for (const column of opener.columns(names)) {
    const cell = row.cells[column.column];
    if (cell !== undefined && readCell(cell).kind === "plaintext") {
      plaintexts.set(column.name, cellToPlaintext(cell, column.kind, cell.type === "blob" ? "binary" : "text"));
      continue;
    }
    const opened = await opener.open(row, column);
    if (!(opened instanceof KeysteadError)) plaintexts.set(column.name, opened.plaintext);
  }
  return plaintexts;
}

/** A value that no index holds (floating point, JSON) counts as a row without a token. */
function valuesOrNothing(values: () => readonly string[] | undefined): readonly string[] | undefined {
  try {
    return values();
  } catch (error) {
    if (error instanceof KeysteadError) return undefined;
    throw error;
  }
}
