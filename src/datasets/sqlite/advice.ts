import { listNames } from "../name-list.ts";
import type { SourceLayout } from "../source.ts";
import { findKeyIndexes } from "./check-layout.ts";
import { quoteIdentifier } from "./identifier.ts";
import type { TableFacts } from "./table-facts.ts";

/** What a person should know before work on the table begins, and statements that would make it faster. */
export function adviseOn(layout: SourceLayout, table: TableFacts): string[] {
  return [...missingIndexes(layout, table), ...triggerNotes(table), ...keyNotes(layout, table)];
}

/** Finding rows by token reads the whole table unless the column is indexed. */
function missingIndexes(layout: SourceLayout, table: TableFacts): string[] {
  const indexed = indexedColumns(table);
  return layout.indexColumns
    .filter((name) => !indexed.has(name))
    .map((name) => `CREATE INDEX ${quoteIdentifier(`${table.name}_${name}`)} ON ${quoteIdentifier(table.name)} (${quoteIdentifier(name)})`);
}

/** Columns by which an index finds rows. */
export function indexedColumns(table: TableFacts): ReadonlySet<string | undefined> {
  return new Set(table.indexes.filter(({ partial }) => !partial).map(({ terms }) => terms[0]?.name));
}

function triggerNotes(table: TableFacts): string[] {
  if (table.triggers.length === 0) return [];
  return [`triggers of table "${table.name}" may run for every row that is written: ${listNames(table.triggers)}`];
}

/** A key that is unique under NOCASE is unique under BINARY as well, but says something about how the application compares. */
function keyNotes(layout: SourceLayout, table: TableFacts): string[] {
  if (table.rowidColumn !== undefined && layout.keyColumns.includes(table.rowidColumn)) return [];
  return findKeyIndexes(layout, table).flatMap(({ terms }) =>
    terms
      .filter(({ collation }) => collation !== "BINARY")
      .map(
        ({ name, collation }) =>
          `key column "${name ?? ""}" is unique under collation ${collation}; rows are found by its exact bytes all the same`,
      ),
  );
}
