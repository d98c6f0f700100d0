import { KeysteadError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";
import { listNames } from "./name-list.ts";
import type { RowReplacement, SourceLayout, TokenSearch } from "./source.ts";

/** Every column of a layout, once. */
export function layoutColumns(layout: SourceLayout): string[] {
  return [
    ...new Set([
      ...layout.keyColumns,
      ...layout.valueColumns,
      ...layout.contextColumns,
      ...layout.indexColumns,
      ...plaintextColumns(layout),
    ]),
  ];
}

/** The columns of plaintext that a layout has. */
export function plaintextColumns(layout: SourceLayout): readonly string[] {
  return layout.plaintextColumns ?? [];
}

/** The columns of which a source says what they are declared as. */
export function typedColumns(layout: SourceLayout): readonly string[] {
  return [...layout.keyColumns, ...layout.contextColumns, ...plaintextColumns(layout)];
}

/** What is wrong with a layout whose table has these columns: some are missing. Undefined when none is. */
export function missingColumns(layout: SourceLayout, existing: readonly string[]): string | undefined {
  const missing = layoutColumns(layout).filter((name) => !existing.includes(name));
  const [first] = missing;
  if (first === undefined) return undefined;
  return missing.length === 1
    ? `it has no column "${first}"${suggestName(first, existing, "columns")}`
    : `it has no columns ${listNames(missing)} (columns: ${listNames(existing)})`;
}

/** What is wrong with the roles that a layout gives its columns, whatever table they are of. Undefined when nothing is. */
export function clashingRoles(layout: SourceLayout): string | undefined {
  if (layout.keyColumns.length === 0) return "the layout names no key columns: name the column or columns that identify a row";
  const lists = [layout.keyColumns, layout.valueColumns, layout.contextColumns, layout.indexColumns, plaintextColumns(layout)];
  const repeated = lists.flatMap((list) => list.filter((name, index) => list.indexOf(name) !== index));
  if (repeated.length > 0) return `the layout names ${listNames(repeated)} twice for the same thing`;
  const written = [...layout.valueColumns, ...layout.indexColumns, ...plaintextColumns(layout)];
  const identifying = [...layout.keyColumns, ...layout.contextColumns];
  const clashing = written.filter((name, index) => identifying.includes(name) || written.indexOf(name) !== index);
  if (clashing.length > 0)
    return `${listNames(clashing)} can't be written and identify the row or serve two ends as well: use another column`;
  // JavaScript gives objects with this property another meaning.
  return layoutColumns(layout).includes("__proto__") ? `a column named "__proto__" can't be used: rename it` : undefined;
}

/** Ends a message about a name that is not there: the one that was meant, perhaps, and those that there are. */
export function suggestName(name: string, existing: readonly string[], what: string): string {
  const near = nearestName([name], existing);
  const question = near === undefined ? "" : `: did you mean "${near}"?`;
  return `${question} (${what}: ${existing.length === 0 ? "none" : listNames(existing)})`;
}

/** @throws KeysteadError `INVALID_ARGUMENT` for a search in a column that holds no tokens */
export function requireIndexColumns({ indexColumns }: SourceLayout, searches: readonly TokenSearch[]): void {
  const unknown = searches.find(({ column }) => !indexColumns.includes(column));
  if (unknown === undefined) return;
  throw new KeysteadError("INVALID_ARGUMENT", `column "${unknown.column}" is no index column of the layout: name one that is`);
}

/**
 * Refuses a replacement of columns that the layout does not name for that.
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function checkReplacement(layout: SourceLayout, { expected, set }: RowReplacement): void {
  const erased = plaintextColumns(layout).filter((name) => set[name]?.type === "null");
  requireColumns(Object.keys(set), [...layout.valueColumns, ...layout.indexColumns, ...erased], "be written");
  requireColumns(Object.keys(expected), layoutColumns(layout), "be expected");
  if (Object.keys(set).length === 0) throw new KeysteadError("INVALID_ARGUMENT", "replacement sets no column: leave it out");
}

function requireColumns(names: readonly string[], known: readonly string[], what: string): void {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  throw new KeysteadError("INVALID_ARGUMENT", `column ${unknown.join(", ")} can't ${what}: the layout does not name it for that`);
}
