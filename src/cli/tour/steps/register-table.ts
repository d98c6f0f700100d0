import type { AddedDataset } from "../../../index.ts";
import type { StepOutcome } from "../report.ts";
import { searchKey, type Tour, type TourPlan } from "../tour.ts";
import { listed } from "../words.ts";

const listedNames = 12;

/** Tells Keystead where the data is: nothing of it changes. */
export async function registerTable(
  { keystead, source, databaseName }: Tour,
  { dataset, columns, searches }: TourPlan,
): Promise<StepOutcome<AddedDataset>> {
  const [key] = source.columns;
  const added = await keystead.datasets.add(dataset, {
    database: databaseName,
    table: source.table,
    keyColumns: [key.name],
    columns: Object.fromEntries(columns.map(({ name, logical, purpose }) => [logical, { column: name, key: purpose }])),
    context: { dataset, row: `{${key.name}}` },
    indexes: Object.fromEntries(
      searches.map(({ name, index, indexColumn, plan }) => [
        name,
        {
          columns: [index.column.logical],
          column: indexColumn,
          key: searchKey,
          kind: index.kind,
          normalisers: [index.normaliser],
          bits: plan.recommended.bits,
        },
      ]),
    ),
  });
  const keys = [...new Set(columns.map(({ purpose }) => purpose))].map(
    (purpose) =>
      `${purpose}: ${listed(
        columns.filter((column) => column.purpose === purpose).map(({ name }) => name),
        listedNames,
      )}`,
  );
  return { result: added, text: `dataset ${dataset}, every value bound to its row and column`, details: [...keys, ...added.advice] };
}
