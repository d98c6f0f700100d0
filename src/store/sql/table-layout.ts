import { KeysteadError } from "../../errors.ts";
import type { AddedColumn, TableDefinition } from "../tables.ts";
import type { SqlValue } from "./sql-database.ts";

/** The value of a column. */
export type ColumnValue = string | number | Uint8Array | null;

/** A row's columns by property name, without those that every table has. */
export type ColumnValues = Readonly<Record<string, ColumnValue>>;

/** A column as the database has it. */
export interface ColumnLayout {
  /** Name of the record's property: `createdAt`. */
  readonly property: string;
  /** Name in the database and in the row MAC: `created_at`. */
  readonly sqlName: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** Present when row format 1 does not have it. */
  readonly added?: AddedColumn;
}

/** A table as the database has it. */
export interface TableLayout {
  readonly name: string;
  /** The newest row format: what is written. */
  readonly format: number;
  /** The columns of each row format, in the order of the row MAC. Rows of an older one stay until they are next updated. */
  readonly formats: ReadonlyMap<number, readonly ColumnLayout[]>;
  readonly guard: TableDefinition["guard"];
  /** The columns of the newest row format. */
  readonly columns: readonly ColumnLayout[];
  readonly key: readonly ColumnLayout[];
  /** Further combinations of columns that no two rows share. */
  readonly unique: readonly (readonly ColumnLayout[])[];
  /** Names of every column of the database, those that all tables have included. */
  readonly sqlNames: readonly string[];
  /** Every combination of columns that identifies a row, for messages: `id`, `name`. */
  readonly uniqueNames: readonly string[];
}

interface ColumnKind {
  readonly name: "text" | "integer" | "bytes";
  /** Type letter in the row MAC. */
  readonly letter: string;
  /** What the column takes, for messages. */
  readonly takes: string;
  accepts(value: unknown): boolean;
  /** The column's value, or undefined when the database holds another type. */
  fromSql(value: unknown): ColumnValue | undefined;
}

const text: ColumnKind = {
  name: "text",
  letter: "t",
  takes: "well-formed text without NUL",
  accepts: (value) => typeof value === "string" && value.isWellFormed() && !value.includes("\0"),
  fromSql: (value) => (typeof value === "string" ? value : undefined),
};

const integer: ColumnKind = {
  name: "integer",
  letter: "i",
  takes: "an integer within ±2^53",
  accepts: (value) => Number.isSafeInteger(value),
  fromSql: readInteger,
};

const bytes: ColumnKind = {
  name: "bytes",
  letter: "b",
  takes: "bytes",
  accepts: (value) => value instanceof Uint8Array,
  fromSql: (value) => (value instanceof Uint8Array ? new Uint8Array(value) : undefined),
};

const columnTypes = {
  text: { kind: text, nullable: false },
  "text?": { kind: text, nullable: true },
  integer: { kind: integer, nullable: false },
  "integer?": { kind: integer, nullable: true },
  bytes: { kind: bytes, nullable: false },
  "bytes?": { kind: bytes, nullable: true },
} as const satisfies Record<TableDefinition["columns"][string], Omit<ColumnLayout, "property" | "sqlName">>;

/** Columns that every table has, and those that only tables with a row MAC have. */
export const rowVersionColumn = "row_version";
export const rowFormatColumn = "row_format";
export const rowMacColumn = "row_mac";

const layouts = new WeakMap<TableDefinition, TableLayout>();

/** How a table is laid out in the database. */
export function layoutOf(definition: TableDefinition): TableLayout {
  const layout = layouts.get(definition) ?? createLayout(definition);
  layouts.set(definition, layout);
  return layout;
}

function createLayout(definition: TableDefinition): TableLayout {
  const columns = Object.entries(definition.columns).map(([property, type]) => ({
    property,
    sqlName: snakeCase(property),
    ...columnTypes[type],
    ...(definition.added?.[property] && { added: definition.added[property] }),
  }));
  assertInOrder(definition, columns);
  const formats = [...new Set(columns.map(formatOf))];
  const guardColumns = definition.guard === "none" ? [] : [rowFormatColumn, rowMacColumn];
  return {
    name: definition.name,
    format: formats.length,
    formats: new Map(formats.map((format) => [format, columns.filter((column) => formatOf(column) <= format)])),
    guard: definition.guard,
    columns,
    key: named(columns, definition.key),
    unique: definition.unique.map((names) => named(columns, names)),
    sqlNames: [...columns.map((column) => column.sqlName), rowVersionColumn, ...guardColumns],
    uniqueNames: [definition.key, ...definition.unique].map((names) => names.join(" + ")),
  };
}

function named(columns: readonly ColumnLayout[], names: readonly string[]): ColumnLayout[] {
  return names.flatMap((name) => columns.filter(({ property }) => property === name));
}

/** The row format that brought a column. */
function formatOf({ added }: ColumnLayout): number {
  return added?.format ?? 1;
}

/** Columns come in the order of their formats, none of which is left out; the key is whole from the beginning. */
function assertInOrder({ name, key, added = {} }: TableDefinition, columns: readonly ColumnLayout[]): void {
  const formats = columns.map(formatOf);
  const inOrder = formats.every((format, index) => {
    const before = formats[index - 1] ?? 1;
    return format === before || format === before + 1;
  });
  const later = columns.filter((column) => column.added !== undefined);
  const fits = later.every(({ property, kind, nullable, added: { value } = { value: null } }) => {
    return !key.includes(property) && (value === null ? nullable : kind.accepts(value));
  });
  if (inOrder && fits && later.length === Object.keys(added).length) return;
  throw new KeysteadError("INTERNAL", `the row formats of ${name} are out of order: add columns at the end, format by format`);
}

/**
 * The columns of a row format, in the order of the row MAC.
 * @throws KeysteadError `INTERNAL` for a format that the table does not have
 */
export function columnsOf(table: TableLayout, format: number): readonly ColumnLayout[] {
  const columns = table.formats.get(format);
  if (columns === undefined) throw new KeysteadError("INTERNAL", `${table.name} has no row format ${format}: this is a fault in Keystead`);
  return columns;
}

/**
 * A record's value of a column, checked.
 * @throws KeysteadError `INVALID_ARGUMENT` naming table and column.
 */
export function checkValue(table: TableLayout, column: ColumnLayout, value: unknown): ColumnValue {
  if (value === null && column.nullable) return null;
  const checked = column.kind.accepts(value) ? column.kind.fromSql(value) : undefined;
  if (checked === undefined) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `${table.name}.${column.property} takes ${column.kind.takes}${column.nullable ? " or null" : ""}`,
    );
  }
  return checked;
}

/** Some columns of a record, checked as {@link checkValue} does. */
export function checkColumns(table: TableLayout, columns: readonly ColumnLayout[], record: object): ColumnValues {
  const given: Readonly<Record<string, unknown>> = { ...record };
  const values: Record<string, ColumnValue> = {};
  for (const column of columns) values[column.property] = checkValue(table, column, given[column.property]);
  return values;
}

/** A column's value as the database takes it. Integers go as bigint: a JavaScript number would be bound as a real. */
export function toSql(value: ColumnValue): SqlValue {
  return typeof value === "number" ? BigInt(value) : value;
}

/** An integer of the database; undefined for another type and beyond ±2^53. */
export function readInteger(value: unknown): number | undefined {
  if (typeof value !== "bigint" && typeof value !== "number") return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) return undefined;
  return number === 0 ? 0 : number;
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
