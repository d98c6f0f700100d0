import { quoteIdentifier } from "../../postgres/identifier.ts";
import { listNames } from "../name-list.ts";
import type { SourceLayout } from "../source.ts";
import type { IndexTerm, TableFacts } from "./table-facts.ts";
import { createIndex } from "./create-index.ts";
import type { TableName } from "./table-name.ts";

/** What a person should know before work on the table begins, and statements that would make it faster. */
export function adviseOn(layout: SourceLayout, name: TableName, table: TableFacts): string[] {
  return [...missingIndexes(layout, name, table), ...uselessIndexes(layout, table), ...notes(table)];
}

/** The first column of an index by which rows are found by their tokens; undefined without one. */
export function tokenTerm(table: TableFacts, column: string): IndexTerm | undefined {
  return table.indexes
    .filter(({ whole }) => whole)
    .map(({ terms: [first] }) => first)
    .find((term) => term?.name === column && term.operators !== null);
}

/** Finding rows by token reads the whole table unless the column is indexed. */
function missingIndexes(layout: SourceLayout, name: TableName, table: TableFacts): string[] {
  return layout.indexColumns
    .filter((column) => tokenTerm(table, column) === undefined)
    .map((column) => createIndex(name, table, column, quoteIdentifier(column)));
}

function uselessIndexes(layout: SourceLayout, table: TableFacts): string[] {
  const useless = table.indexes.filter(({ terms }) => terms.some((term) => term.name !== null && layout.valueColumns.includes(term.name)));
  return useless.map(
    (index) => `index "${index.name}" finds nothing in ciphertext, and refuses long values: drop it when the column is protected`,
  );
}

function notes(table: TableFacts): string[] {
  const found: string[] = [];
  if (table.triggers.length > 0) found.push(`triggers of the table may run for every row that is written: ${listNames(table.triggers)}`);
  if (table.persistence === "u") found.push("the table is UNLOGGED: a crash of the server empties it, whatever was protected");
  return found;
}
