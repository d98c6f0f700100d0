import { createIndexRecipe } from "../fields/blind-index.ts";
import { type IndexPlan, planIndex } from "../fields/index-planner.ts";
import { ValueFrequencies } from "../fields/value-frequencies.ts";
import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { cellToPlaintext, readCell } from "./cells.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { assertProtected, type DatasetIndex } from "./definition.ts";
import { DatasetKeys } from "./job-keys.ts";
import { indexedValues } from "./row-indexes.ts";
import { RowOpener } from "./row-opener.ts";
import type { SourceRow } from "./source.ts";

const pageRows = 1000;

/** What the planner needs to know of an index that may not exist yet. */
export type PlannedIndex = Pick<DatasetIndex, "columns" | "kind" | "normalisers">;

/**
 * Counts how often each indexed value really occurs in a table, plaintext and protected rows alike, in bounded memory, and
 * advises how many bits of a token to keep.
 * @throws KeysteadError `INVALID_ARGUMENT` for unknown columns, kinds and normalisers, `DATABASE_FAILED`
 */
export async function planDatasetIndex(engine: Engine, databases: Databases, dataset: Dataset, index: PlannedIndex): Promise<IndexPlan> {
  assertProtected(dataset.definition.columns, index.columns, "the index");
  const recipe = createIndexRecipe({ columns: index.columns, kind: index.kind, normaliser: index.normalisers.join(",") });
  const kinds = index.columns.map((name) => dataset.definition.columns.find((column) => column.name === name)?.kind ?? "typed");
  const frequencies = new ValueFrequencies();
  const keys = new DatasetKeys(engine, dataset.id, "open");
  const opener = new RowOpener(dataset, keys);
  const source = await databases.open(dataset.definition.database, layoutOf(dataset.definition));
  try {
    let cursor: string | undefined;
    do {
      const page = await source.readPage(cursor, pageRows);
      for (const row of page.rows) {
        const plaintexts = await readRow(opener, row, index.columns);
        frequencies.add(valuesOrNothing(() => recipe.values(indexedValues({ columns: index.columns, kinds }, plaintexts))));
      }
      cursor = page.next;
    } while (cursor !== undefined);
  } finally {
    await keys.close();
    await source.close();
  }
  return planIndex(frequencies.table());
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
