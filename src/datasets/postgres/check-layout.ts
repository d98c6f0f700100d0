import { KeysteadError } from "../../errors.ts";
import { clashingRoles, layoutColumns, missingColumns } from "../layout.ts";
import { listNames } from "../name-list.ts";
import type { SourceLayout } from "../source.ts";
import { kindOf } from "./column-kind.ts";
import { joinName } from "./dotted-name.ts";
import { documentProblem, isDocument, ownColumn } from "./document-path.ts";
import type { ColumnFacts, IndexFacts, TableFacts } from "./table-facts.ts";
import { formatTableName } from "./table-name.ts";
import { sufficientTokenLength } from "./text-length.ts";

/**
 * Refuses a table that can't be worked on with a layout.
 * @throws KeysteadError `DATASET_UNSUITABLE` saying what is wrong and what would help.
 */
export function checkLayout(layout: SourceLayout, table: TableFacts): void {
  for (const check of checks) {
    const problem = check(layout, table);
    if (problem !== undefined) throw new KeysteadError("DATASET_UNSUITABLE", `table "${layout.table}": ${problem}`);
  }
}

/** The unique index by which rows are put in order: over some or all of the key columns and nothing else, none of them ever null. */
export function findKeyIndex(layout: SourceLayout, table: TableFacts): IndexFacts | undefined {
  const [best] = table.indexes
    .filter((index) => isWholeUnique(index) && index.terms.every(({ name }) => name !== null && layout.keyColumns.includes(name)))
    .toSorted((a, b) => Number(b.primary) - Number(a.primary) || a.terms.length - b.terms.length);
  return best;
}

/** The column of this name, which {@link checkLayout} saw. */
export function columnNamed(table: TableFacts, name: string): ColumnFacts {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new KeysteadError("INTERNAL", `column "${name}" was looked for before it was checked`);
  return column;
}

/** A check: what is wrong, or undefined. */
type LayoutCheck = (layout: SourceLayout, table: TableFacts) => string | undefined;

/** In this order: a later one relies on those before it. */
const checks: readonly LayoutCheck[] = [
  checkKind,
  checkEncoding,
  checkFamily,
  documentProblem,
  (layout, table) =>
    missingColumns(
      layout,
      table.columns.map(({ name }) => name),
    ),
  clashingRoles,
  checkGenerated,
  checkUniqueKey,
  checkValueTypes,
  checkIndexTypes,
  checkConstraints,
  checkRowSecurity,
];

const otherKinds: Readonly<Record<string, string>> = {
  v: "it is a view: name the table behind it",
  m: "it is a materialised view: name the table behind it",
  f: "it is a foreign table: give the URL of the database that holds it",
};

function checkKind(_layout: SourceLayout, { kind, persistence }: TableFacts): string | undefined {
  if (persistence === "t") return "it is a temporary table, which others don't see: name an ordinary one";
  return kind === "r" || kind === "p" ? undefined : (otherKinds[kind] ?? "it is no table: name one");
}

function checkEncoding(_layout: SourceLayout, { encoding }: TableFacts): string | undefined {
  return encoding === "UTF8" ? undefined : `its database keeps text as ${encoding}: copy it into one made with ENCODING 'UTF8'`;
}

function checkFamily(_layout: SourceLayout, table: TableFacts): string | undefined {
  const { partitionOf, heirs, foreignPartitions, rules } = table;
  if (partitionOf !== null)
    return `it is a partition: name the whole table, ${formatTableName({ schema: partitionOf.schema, table: partitionOf.name })}`;
  if (heirs.length > 0)
    return `${listNames(heirs)} inherit from it, and no key is unique in all of them: make them partitions, or end the inheritance`;
  if (foreignPartitions.length > 0) return `its partitions ${listNames(foreignPartitions)} are in another database: detach them`;
  return rules.length > 0 ? `rules rewrite what is done to it: ${listNames(rules)}; make them triggers` : undefined;
}

function checkGenerated(layout: SourceLayout, table: TableFacts): string | undefined {
  const generated = namesWhere(table, layoutColumns(layout), (column) => column.generated);
  return generated.length > 0 ? `${listNames(generated)} is generated from other columns: name those instead` : undefined;
}

function checkUniqueKey(layout: SourceLayout, table: TableFacts): string | undefined {
  if (findKeyIndex(layout, table) === undefined) {
    const unique = table.indexes.filter(isWholeUnique).map(({ terms }) => `(${listNames(terms.flatMap(({ name }) => name ?? []))})`);
    const offer = unique.length === 0 ? "it has no unique key at all: add one" : `unique are ${unique.join(", ")}`;
    return `the key columns (${listNames(layout.keyColumns)}) are not declared unique; ${offer}`;
  }
  const nullable = namesWhere(table, layout.keyColumns, (column) => !column.notNull);
  return nullable.length > 0
    ? `key column ${listNames(nullable)} may be NULL, and such a row can't be named: ALTER TABLE … ALTER COLUMN … SET NOT NULL`
    : undefined;
}

function checkValueTypes(layout: SourceLayout, table: TableFacts): string | undefined {
  return refuseTypes(table, layout.valueColumns, (column) => kindOf(column).form === undefined, "ciphertext", "text or bytea");
}

function checkIndexTypes(layout: SourceLayout, table: TableFacts): string | undefined {
  const unfit = refuseTypes(table, layout.indexColumns, (column) => kindOf(column).form !== "text", "index tokens", "text");
  if (unfit !== undefined) return unfit;
  const short = table.columns.find(
    ({ name, maxLength }) => layout.indexColumns.includes(name) && maxLength !== null && maxLength < sufficientTokenLength,
  );
  return short === undefined
    ? undefined
    : `"${short.name}" is ${short.declaredType}, and index tokens have up to ${String(sufficientTokenLength)} characters: make it text`;
}

function refuseTypes(
  table: TableFacts,
  names: readonly string[],
  isUnfit: (column: ColumnFacts) => boolean,
  what: string,
  types: string,
): string | undefined {
  const unfit = table.columns.find((column) => names.includes(column.name) && isUnfit(column));
  if (unfit === undefined) return undefined;
  const why = unfit.baseType.name === "bpchar" ? ", which pads what it stores with spaces" : "";
  if (what === "ciphertext" && isDocument(unfit)) {
    return `"${unfit.name}" is ${unfit.declaredType}: name what is to be protected in it, as ${joinName([unfit.name, "key"])}`;
  }
  return `"${unfit.name}" is ${unfit.declaredType}${why}: ${what} needs ${types}: add a column of that type, or ALTER TABLE … ALTER COLUMN … TYPE text`;
}

function checkConstraints(layout: SourceLayout, table: TableFacts): string | undefined {
  const values = layout.valueColumns.map((name) => ownColumn(columnNamed(table, name)));
  const constrained = values.filter((name) => table.indexes.some((index) => index.unique && covers(index, name)));
  if (constrained.length > 0) {
    return `${listNames(constrained)} is part of a unique key, which ciphertext can't keep up: drop that constraint, or put it on an index column`;
  }
  const written = [...values, ...layout.indexColumns];
  const referring = written.filter((name) => table.referringColumns.includes(name));
  if (referring.length > 0) return `${listNames(referring)} refers to another table, which ciphertext can't: drop that foreign key`;
  const partitioning = written.filter((name) => table.partitionColumns.includes(name));
  return partitioning.length > 0
    ? `${listNames(partitioning)} decides in which partition a row is, which ciphertext can't: partition by another column`
    : undefined;
}

function checkRowSecurity(_layout: SourceLayout, { rowSecurity }: TableFacts): string | undefined {
  return rowSecurity
    ? "row-level security would hide rows from the URL's user: ALTER ROLE that user BYPASSRLS, or let the table's owner be the user"
    : undefined;
}

function isWholeUnique({ unique, whole, terms }: IndexFacts): boolean {
  return unique && whole && terms.every(({ name, operators }) => name !== null && operators !== null);
}

function covers(index: IndexFacts, name: string): boolean {
  return index.terms.some((term) => term.name === name);
}

function namesWhere(table: TableFacts, names: readonly string[], test: (column: ColumnFacts) => boolean): string[] {
  return table.columns.filter((column) => names.includes(column.name) && test(column)).map(({ name }) => name);
}
