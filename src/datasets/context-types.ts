import { KeysteadError } from "../errors.ts";
import { canonicalTypes, type CanonicalType } from "../fields/canonical-text.ts";
import type { ContextTemplate } from "../fields/context-template.ts";
import { placeholdersOf } from "./placeholders.ts";
import type { DeclaredType } from "./source.ts";

/** The canonical type of each column that a context names, by physical column. */
export type ContextTypes = Readonly<Record<string, CanonicalType>>;

/**
 * The type of every column that a template names: as it is known, or else as the database declares it. It goes into the definition,
 * so that a later change of the table changes no context.
 * @throws KeysteadError `DATASET_UNSUITABLE` naming a column whose declaration does not tell its type
 */
export function resolveContextTypes(
  template: ContextTemplate,
  known: ContextTypes,
  declared: Readonly<Record<string, DeclaredType>>,
): ContextTypes {
  return Object.fromEntries(
    placeholdersOf(template).map((column) => [
      column,
      ownType(known, column) ?? declared[column]?.canonical ?? refuse(column, declared[column]),
    ]),
  );
}

/** The columns that a template names, each with its type; without one, a column of an early definition goes by its storage class. */
export function contextColumns(template: ContextTemplate, types: ContextTypes): Readonly<Record<string, CanonicalType | undefined>> {
  return Object.fromEntries(placeholdersOf(template).map((column) => [column, ownType(types, column)]));
}

/**
 * Refuses types of columns that a template does not name.
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function checkContextTypes(template: ContextTemplate, types: ContextTypes): void {
  const used = placeholdersOf(template);
  const unused = Object.keys(types).find((column) => !used.includes(column));
  if (unused === undefined) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `contextTypes names column ${unused}, which the context does not; it names: ${used.join(", ") || "none"}`,
  );
}

function ownType(types: ContextTypes, column: string): CanonicalType | undefined {
  return Object.hasOwn(types, column) ? types[column] : undefined;
}

function refuse(column: string, type: DeclaredType | undefined): never {
  const declared = type === undefined || type.declared === "" ? "has no declared type" : `is declared ${type.declared}`;
  throw new KeysteadError(
    "DATASET_UNSUITABLE",
    `context column "${column}" ${declared}, which does not say how its values are written in contexts: give its type in contextTypes ` +
      `(${canonicalTypes.join(", ")}), or bind another column; floating point can't be bound`,
  );
}
