import { createSecretKey, type KeyObject } from "node:crypto";
import { toRecord } from "../../store/sql/record.ts";
import { checkColumns, layoutOf, type ColumnLayout, type ColumnValue, type TableLayout } from "../../store/sql/table-layout.ts";
import type { StoreIdentity } from "../../store/store.ts";
import { tables, type NewRecord, type StoredRecord, type TableName } from "../../store/tables.ts";

/** Names of all tables. */
export const tableNames = Object.keys(tables).filter((name): name is TableName => name in tables);

/** The identity that the suite gives to its stores. */
export const sampleIdentity: StoreIdentity = { id: "6f1d2c1e-8d3b-4f0a-9c53-2b7f4f6a9e01", demo: true, createdAt: 1_700_000_000_000 };

/** A metadata key that is the same in every process. */
export const sampleKey: KeyObject = createSecretKey(Buffer.alloc(32, 0x5a));

/** Columns that take only certain values. */
const constrained: Readonly<Record<string, readonly [ColumnValue, ColumnValue]>> = {
  "manifest.demo": [1, 0],
  "versions.state": ["active", "suspended"],
  "purposes.hardware": [0, 1],
  "policies.effect": ["allow", "deny"],
  "principals.disabled": [0, 1],
  "approvals.state": ["pending", "used"],
};

/** The n-th record of a table. Records of different n have nothing in common but nulls: every second one has those. */
export function sampleRecord<N extends TableName>(name: N, n: number): NewRecord<N> {
  return sampleWith(name, n, {});
}

/** The same with some other values. */
export function sampleWith<N extends TableName>(name: N, n: number, values: Readonly<Record<string, ColumnValue>>): NewRecord<N> {
  const layout = layoutOf(tables[name]);
  const record = Object.fromEntries(layout.columns.map((column) => [column.property, sampleValue(layout.name, column, n)]));
  return toRecord<N>(layout, { ...record, ...values });
}

/** A stored record with another value in one column. */
export function withValue<N extends TableName>(name: N, record: StoredRecord<N>, property: string, value: ColumnValue): StoredRecord<N> {
  const layout = layoutOf(tables[name]);
  const values = checkColumns(layout, layout.columns, record);
  return { ...toRecord<N>(layout, { ...values, [property]: value }), rowVersion: record.rowVersion };
}

/** The filter for rows that have a record's value in one column. */
export function filterBy<N extends TableName>(name: N, record: NewRecord<N>, property: string): Partial<NewRecord<N>> {
  const layout = layoutOf(tables[name]);
  const filter = Object.fromEntries(Object.entries(checkColumns(layout, layout.columns, record)).filter(([name]) => name === property));
  if (!isFilter<N>(layout, filter)) throw new TypeError(`${layout.name} has no column ${property}`);
  return filter;
}

function isFilter<N extends TableName>(layout: TableLayout, filter: object): filter is Partial<NewRecord<N>> {
  return Object.keys(filter).every((property) => layout.columns.some((column) => column.property === property));
}

/** Another value for a column that its table allows, too. */
export function otherValue(table: string, column: ColumnLayout, value: ColumnValue): ColumnValue {
  const choice = constrained[`${table}.${column.sqlName}`];
  if (choice !== undefined) return value === choice[0] ? choice[1] : choice[0];
  if (value === null) return sampleValue(table, { ...column, nullable: false }, 7);
  if (typeof value === "string") return `${value}x`;
  if (typeof value === "number") return value + 1;
  return Uint8Array.from(value, (byte) => byte ^ 1);
}

function sampleValue(table: string, column: ColumnLayout, n: number): ColumnValue {
  const choice = constrained[`${table}.${column.sqlName}`];
  if (choice !== undefined) return choice[0];
  if (column.nullable && n % 2 === 0) return null;
  if (column.kind.name === "text") return `${column.property} ${n} äß\u{1f511}'"`;
  if (column.kind.name === "integer") return 1000 + n;
  return Uint8Array.of(0, n, 0x27, 0xff);
}
