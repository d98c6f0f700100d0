import { describe, it } from "vitest";
import type { Cell, SourceLayout } from "../../../src/datasets/source.ts";
import type { CanonicalType } from "../../../src/fields/canonical-text.ts";
import { type TestRow, testDatasetSource } from "../../../src/testing/dataset-source.ts";
import { blob, blobs, everything, integer, nothing, real, text, texts } from "./cells.ts";
import { createTable } from "./database.ts";

/** A kind of table. Names left out are those of `plainLayout`. */
interface Shape {
  readonly name: string;
  readonly sql: string;
  readonly layout?: Partial<SourceLayout>;
  readonly form?: "text" | "binary";
  /** Types that differ from those of `plainTypes`. */
  readonly types?: Readonly<Record<string, CanonicalType | undefined>>;
  readonly keyOf: (number: number) => TestRow;
  readonly values: readonly Cell[];
  readonly contexts?: readonly Cell[];
}

const plainLayout: SourceLayout = {
  table: "person",
  keyColumns: ["id"],
  valueColumns: ["email"],
  contextColumns: ["tenant"],
  indexColumns: ["email_index"],
};
/** Of most tables' key and context columns. */
const plainTypes = { id: "integer", tenant: "text" } as const;
const columns = "email TEXT, tenant TEXT, email_index TEXT";
/** Numbers in an order that is neither that of the keys nor that of inserting. */
const scattered = (number: number): number => ((number * 7919) % 104_729) - 50_000;
const idOf = (number: number): TestRow => ({ id: integer(scattered(number)) });
const textKeyOf = (number: number): TestRow => ({ id: text(`${"kKzZéaA".charAt(number % 7)}-${String(scattered(number))}`) });
const mixedKeyOf = (number: number): TestRow => {
  const value = scattered(number);
  const kinds = [integer(value), real(value + 0.5), text(String(value)), blob(...Buffer.from(String(value)))];
  return { id: kinds[number % 4] ?? nothing };
};

const shapes: readonly Shape[] = [
  { name: "integer primary key", sql: `CREATE TABLE person(id INTEGER PRIMARY KEY, ${columns})`, keyOf: idOf, values: texts },
  {
    name: "integer primary key, write-ahead log",
    sql: `PRAGMA journal_mode = WAL; CREATE TABLE person(id INTEGER PRIMARY KEY, ${columns})`,
    keyOf: idOf,
    values: texts,
  },
  {
    name: "descending integer primary key, which is no rowid",
    sql: `CREATE TABLE person(id INTEGER PRIMARY KEY DESC, ${columns})`,
    keyOf: idOf,
    values: texts,
  },
  {
    name: "text primary key",
    types: { id: "text" },
    sql: `CREATE TABLE person(id TEXT PRIMARY KEY, ${columns})`,
    keyOf: textKeyOf,
    values: texts,
  },
  {
    name: "NOCASE primary key and columns",
    types: { id: "text" },
    sql: "CREATE TABLE person(id TEXT COLLATE NOCASE PRIMARY KEY, email TEXT COLLATE NOCASE, tenant TEXT COLLATE RTRIM, email_index TEXT COLLATE NOCASE)",
    keyOf: textKeyOf,
    values: texts,
  },
  {
    name: "NOCASE columns with indexes",
    sql: `CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, tenant TEXT COLLATE NOCASE, email_index TEXT COLLATE NOCASE,
          phone_index TEXT COLLATE NOCASE);
          CREATE INDEX by_email ON person(email); CREATE INDEX by_token ON person(email_index); CREATE INDEX by_phone ON person(phone_index); CREATE INDEX by_tenant ON person(tenant, email)`,
    layout: { indexColumns: ["email_index", "phone_index"] },
    keyOf: idOf,
    values: texts,
  },
  {
    name: "unique index over a nullable column",
    types: { id: "text" },
    sql: `CREATE TABLE person(id TEXT, ${columns}); CREATE UNIQUE INDEX by_id ON person(id)`,
    keyOf: textKeyOf,
    values: texts,
  },
  {
    name: "composite primary key",
    types: { realm: "text" },
    sql: `CREATE TABLE person(realm TEXT NOT NULL, id INTEGER NOT NULL, ${columns}, PRIMARY KEY (realm, id))`,
    layout: { keyColumns: ["realm", "id"], contextColumns: ["realm", "tenant"] },
    keyOf: (number) => ({ realm: text(`realm ${String(number % 3)}`), id: integer(scattered(number)) }),
    values: texts,
  },
  {
    name: "columns without types",
    types: { id: undefined, tenant: undefined },
    sql: "CREATE TABLE person(id PRIMARY KEY, email, tenant, email_index); CREATE INDEX by_token ON person(email_index)",
    keyOf: mixedKeyOf,
    values: everything,
    contexts: everything,
  },
  {
    name: "WITHOUT ROWID, mixed keys",
    types: { id: undefined, tenant: undefined },
    sql: "CREATE TABLE person(id PRIMARY KEY, email, tenant, email_index) WITHOUT ROWID",
    keyOf: mixedKeyOf,
    values: everything,
    contexts: everything,
  },
  {
    name: "WITHOUT ROWID, NOCASE key",
    types: { id: "text" },
    sql: `CREATE TABLE person(id TEXT COLLATE NOCASE PRIMARY KEY, ${columns}, phone_index TEXT) WITHOUT ROWID;
          CREATE INDEX by_token ON person(email_index); CREATE INDEX by_phone ON person(phone_index)`,
    layout: { indexColumns: ["email_index", "phone_index"] },
    keyOf: textKeyOf,
    values: texts,
  },
  {
    name: "WITHOUT ROWID, composite key of two collations and directions",
    types: { realm: "text", id: "bytes", place: "text" },
    sql: `CREATE TABLE person(realm TEXT, id BLOB, place TEXT COLLATE NOCASE, ${columns}, PRIMARY KEY (realm COLLATE NOCASE, id DESC, place COLLATE RTRIM)) WITHOUT ROWID; CREATE INDEX by_token ON person(email_index)`,
    layout: { keyColumns: ["realm", "id", "place"] },
    keyOf: (number) => ({
      realm: text(["A", "b", "C"][number % 3] ?? ""),
      id: blob(Math.floor(number / 3) % 5),
      place: text(`${"xY".charAt(Math.floor(number / 15) % 2)}${String(number)}`),
    }),
    values: texts,
  },
  {
    name: "WITHOUT ROWID, named by another unique key",
    types: { id: "text" },
    sql: `CREATE TABLE person(number INTEGER PRIMARY KEY DEFAULT (abs(random())), id TEXT NOT NULL UNIQUE, ${columns}) WITHOUT ROWID`,
    keyOf: textKeyOf,
    values: texts,
  },
  {
    name: "STRICT",
    sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, email_index TEXT) STRICT",
    keyOf: idOf,
    values: texts,
  },
  {
    name: "STRICT, type ANY, WITHOUT ROWID",
    types: { id: "text", tenant: undefined },
    sql: "CREATE TABLE person(id TEXT PRIMARY KEY, email ANY, tenant ANY, email_index ANY) STRICT, WITHOUT ROWID",
    keyOf: textKeyOf,
    values: everything,
    contexts: everything,
  },
  {
    name: "STRICT, binary values",
    sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, email BLOB, tenant TEXT, email_index TEXT) STRICT",
    form: "binary",
    keyOf: idOf,
    values: blobs,
  },
  {
    name: "binary values beside other types",
    types: { id: undefined, tenant: "bytes" },
    sql: "CREATE TABLE person(id PRIMARY KEY, email BLOB, tenant BLOB, email_index BLOB)",
    form: "binary",
    keyOf: mixedKeyOf,
    values: everything,
    contexts: everything,
  },
  {
    name: "numeric value column",
    types: { tenant: "numeric" },
    sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, email NUMERIC, tenant DECIMAL(10,2), email_index TEXT)",
    keyOf: idOf,
    values: [nothing, integer(1), integer(2n ** 63n - 1n), real(1.5), text("abc"), text("1 a"), blob(0x31), real(Number.POSITIVE_INFINITY)],
  },
  {
    name: "integer value column",
    types: { tenant: undefined },
    sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, email INT, tenant REAL, email_index TEXT)",
    keyOf: idOf,
    values: [nothing, integer(0), integer(1), integer(-1), real(0.5), text("abc"), blob(0x30)],
    contexts: [nothing, real(1), real(0.1), text("abc")],
  },
  {
    name: "odd names",
    types: { select: "integer", rowid: "text", GROUP: "text" },
    sql: `CREATE TABLE "order ""by"" select"("select" INTEGER PRIMARY KEY, "E-mail 'x'" TEXT, "GROUP" TEXT, "rowid" TEXT, "[token]" TEXT, "тема" TEXT)`,
    layout: {
      table: 'order "by" select',
      keyColumns: ["select"],
      valueColumns: ["E-mail 'x'", "тема"],
      contextColumns: ["rowid", "GROUP"],
      indexColumns: ["[token]"],
    },
    keyOf: (number) => ({ select: integer(scattered(number)) }),
    values: texts,
  },
  {
    name: "columns that hide names of the rowid",
    types: { rowid: "text" },
    sql: `CREATE TABLE person(rowid TEXT PRIMARY KEY, OID TEXT, ${columns})`,
    layout: { keyColumns: ["rowid"] },
    keyOf: (number) => ({ rowid: text(`row ${String(scattered(number))}`) }),
    values: texts,
  },
  {
    name: "several value columns",
    sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, phone, photo BLOB, tenant TEXT, email_index TEXT, phone_index TEXT)",
    layout: { valueColumns: ["email", "phone", "photo"], indexColumns: ["email_index", "phone_index"] },
    keyOf: idOf,
    values: texts,
  },
];

function isNamed({ keyColumns, contextColumns }: SourceLayout, column: string): boolean {
  return keyColumns.includes(column) || contextColumns.includes(column);
}

for (const {
  name,
  sql,
  layout: differences,
  form = "text",
  types,
  keyOf,
  values,
  contexts = [text("acme"), text("ACME"), text("acme "), nothing],
} of shapes) {
  const layout = { ...plainLayout, ...differences };
  const forms = Object.fromEntries(layout.valueColumns.map((column) => [column, column === "photo" ? "binary" : form] as const));
  testDatasetSource({
    describe,
    it,
    name: `SQLite, ${name}`,
    layout,
    forms,
    types:
      types === undefined
        ? plainTypes
        : Object.fromEntries(Object.entries({ ...plainTypes, ...types }).filter(([column]) => isNamed(layout, column))),
    createTable: () => createTable(sql, layout),
    keyOf,
    values,
    contexts,
  });
}
