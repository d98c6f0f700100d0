import { personColumns, personRow, samplePersons } from "./sample-persons.ts";
import type { SampleColumn, SampleRow, TableSource } from "./table-source.ts";

/** A table of so many made-up persons. */
export function generatedSource(rowCount: number): TableSource {
  const [key, ...others] = personColumns;
  const named = (column: (typeof personColumns)[number]): SampleColumn => ({ ...column, logical: column.name });
  return {
    kind: "generated",
    table: "person",
    columns: [named(key), ...others.map(named)],
    notes: [],
    rowCount,
    rows: () => rows(rowCount),
  };
}

async function* rows(count: number): AsyncGenerator<SampleRow, void, undefined> {
  for (const person of samplePersons(count)) yield personRow(person);
}
