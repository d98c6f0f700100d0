import { KeysteadError } from "../../errors.ts";
import { clashingRoles, layoutColumns, missingColumns, suggestName } from "../layout.ts";
import { listNames } from "../name-list.ts";
import type { SourceLayout } from "../source.ts";
import type { ColumnFacts, IndexFacts, SchemaFacts, TableFacts } from "./table-facts.ts";

/**
 * The table of a layout, fit to be worked on.
 * @throws KeysteadError `DATASET_UNSUITABLE` saying what is wrong and what would help.
 */
export function checkLayout(layout: SourceLayout, schema: SchemaFacts): TableFacts {
  if (!schema.encoding.startsWith("UTF-8")) {
    refuse(`the database keeps its text as ${schema.encoding}: copy it into a new database made with PRAGMA encoding = 'UTF-8'`);
  }
  const table = schema.table ?? refuse(`table "${layout.table}" does not exist${suggestName(layout.table, schema.tables, "tables")}`);
  for (const check of checks) {
    const problem = check(layout, table, schema);
    if (problem !== undefined) refuse(`table "${table.name}": ${problem}`);
  }
  return table;
}

/** The unique indexes that tell the rows of a layout apart: over some or all of its key columns, and nothing else. */
export function findKeyIndexes(layout: SourceLayout, table: TableFacts): readonly IndexFacts[] {
  return table.indexes.filter(
    (index) => isPlainUnique(index) && index.terms.every(({ name }) => name !== undefined && layout.keyColumns.includes(name)),
  );
}

/** A check: what is wrong, or undefined. */
type LayoutCheck = (layout: SourceLayout, table: TableFacts, schema: SchemaFacts) => string | undefined;

/** In this order: a later one relies on those before it. */
const checks: readonly LayoutCheck[] = [
  checkType,
  checkColumnsExist,
  clashingRoles,
  checkGenerated,
  checkUniqueKey,
  checkValueTypes,
  checkIndexTypes,
  checkConstraints,
  checkCollations,
  checkRowid,
];

const otherTypes: Readonly<Record<string, string>> = {
  view: "it is a view: name the table behind it",
  virtual: "it is a virtual table: name an ordinary table",
  shadow: "it belongs to a virtual table: name an ordinary table",
};

function checkType(_layout: SourceLayout, table: TableFacts): string | undefined {
  return otherTypes[table.type];
}

function checkColumnsExist(layout: SourceLayout, table: TableFacts): string | undefined {
  return missingColumns(
    layout,
    table.columns.map(({ name }) => name),
  );
}

function checkGenerated(layout: SourceLayout, table: TableFacts): string | undefined {
  const generated = namesWhere(table, layoutColumns(layout), (column) => column.generated);
  return generated.length > 0 ? `${listNames(generated)} is generated from other columns: name those instead` : undefined;
}

function checkUniqueKey(layout: SourceLayout, table: TableFacts): string | undefined {
  if (table.rowidColumn !== undefined && layout.keyColumns.includes(table.rowidColumn)) return undefined;
  if (findKeyIndexes(layout, table).length > 0) return undefined;
  const unique = table.indexes.filter(isPlainUnique).map((index) => index.terms.flatMap(({ name }) => name ?? []));
  if (table.rowidColumn !== undefined) unique.unshift([table.rowidColumn]);
  const offer =
    unique.length === 0 ? "it has no unique key at all: add one" : `unique are ${unique.map((key) => `(${listNames(key)})`).join(", ")}`;
  return `the key columns (${listNames(layout.keyColumns)}) are not declared unique; ${offer}`;
}

function checkValueTypes(layout: SourceLayout, table: TableFacts): string | undefined {
  const unfit = namesWhere(table, layout.valueColumns, (column) => table.strict && /^(?:INT|INTEGER|REAL)$/i.test(column.declaredType));
  return unfit.length > 0 ? `${listNames(unfit)} of a STRICT table holds numbers only: ciphertext needs type TEXT, BLOB or ANY` : undefined;
}

function checkIndexTypes(layout: SourceLayout, table: TableFacts): string | undefined {
  const unfit = namesWhere(table, layout.indexColumns, (column) =>
    table.strict ? !/^(?:TEXT|ANY)$/i.test(column.declaredType) : column.affinity !== "TEXT" && column.affinity !== "BLOB",
  );
  return unfit.length > 0 ? `${listNames(unfit)} would turn some index tokens into numbers or refuse them: declare it TEXT` : undefined;
}

function checkConstraints(layout: SourceLayout, table: TableFacts): string | undefined {
  const unique = table.indexes.filter((index) => index.unique);
  const constrained = layout.valueColumns.filter((name) => name === table.rowidColumn || unique.some((index) => covers(index, name)));
  if (constrained.length > 0) {
    return `${listNames(constrained)} is part of a unique key, which ciphertext can't keep up: drop that constraint, or put it on an index column`;
  }
  const written = [...layout.valueColumns, ...layout.indexColumns];
  const referring = written.filter((name) => table.referringColumns.some((other) => other.toLowerCase() === name.toLowerCase()));
  if (referring.length > 0) return `${listNames(referring)} refers to another table, which ciphertext can't: drop that foreign key`;
  const replacing = layout.indexColumns.filter((name) => unique.some((index) => index.origin !== "c" && covers(index, name)));
  return replacing.length > 0 && /\bON\s+CONFLICT\b/i.test(table.sql)
    ? `${listNames(replacing)} is unique and the table has an ON CONFLICT clause, by which a write could delete other rows: drop that clause`
    : undefined;
}

function checkCollations(layout: SourceLayout, table: TableFacts, schema: SchemaFacts): string | undefined {
  const written = [...layout.valueColumns, ...layout.indexColumns];
  const touched = table.indexes.filter(
    (index) => written.some((name) => covers(index, name)) || (table.withoutRowid && index.origin === "pk"),
  );
  const foreign = touched
    .flatMap((index) => index.terms.map(({ collation }) => collation))
    .filter((name) => !schema.collations.includes(name));
  return foreign.length > 0
    ? `an index over its columns sorts by ${listNames([...new Set(foreign)])}, which only the application defines: use BINARY, NOCASE or RTRIM`
    : undefined;
}

function checkRowid(_layout: SourceLayout, table: TableFacts): string | undefined {
  return table.withoutRowid || findRowidName(table) !== undefined
    ? undefined
    : "its columns hide every name of the rowid (rowid, oid, _rowid_): rename one of them, or add an INTEGER PRIMARY KEY";
}

/** The name by which SQL reaches the rowid, not quoted; `undefined` when other columns hide all of them. */
export function findRowidName(table: TableFacts): string | undefined {
  const hidden = new Set(table.columns.map(({ name }) => name.toLowerCase()));
  return table.rowidColumn ?? ["rowid", "_rowid_", "oid"].find((name) => !hidden.has(name));
}

function isPlainUnique(index: IndexFacts): boolean {
  return index.unique && !index.partial && index.terms.every(({ name }) => name !== undefined);
}

function covers(index: IndexFacts, name: string): boolean {
  return index.terms.some((term) => term.name === name);
}

function namesWhere(table: TableFacts, names: readonly string[], test: (column: ColumnFacts) => boolean): string[] {
  return table.columns.filter((column) => names.includes(column.name) && test(column)).map(({ name }) => name);
}

function refuse(problem: string): never {
  throw new KeysteadError("DATASET_UNSUITABLE", problem);
}
