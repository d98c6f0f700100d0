import { afterAll, beforeAll, describe, it } from "vitest";
import type { Cell, SourceLayout } from "../../../src/datasets/source.ts";
import type { CanonicalType } from "../../../src/fields/canonical-text.ts";
import { type TestRow, testDatasetSource } from "../../../src/testing/dataset-source.ts";
import { blob, blobs, integer, nothing, real, text, texts as anyTexts } from "../sqlite/cells.ts";
import { TestTables } from "./database.ts";
import { createDocumentTable } from "./documents.ts";

/** A kind of table. Names left out are those of `plainLayout`. */
interface Shape {
  readonly name: string;
  /** Makes `person`, unless `from` says another name in SQL. */
  readonly sql: string;
  readonly from?: string;
  readonly setup?: string;
  readonly layout?: Partial<SourceLayout>;
  readonly form?: "text" | "binary";
  /** Types that differ from those of `plainTypes`. */
  readonly types?: Readonly<Record<string, CanonicalType | undefined>>;
  readonly keyOf: (number: number) => TestRow;
  readonly values?: readonly Cell[];
  readonly contexts?: readonly Cell[];
}

const plainLayout: SourceLayout = {
  table: "person",
  keyColumns: ["id"],
  valueColumns: ["email"],
  contextColumns: ["tenant"],
  indexColumns: ["email_index"],
};
const plainTypes = { id: "integer", tenant: "text" } as const;
const columns = "email text, tenant text, email_index text";
/** PostgreSQL's text is UTF-8 without U+0000. */
const texts = anyTexts.filter(
  (cell) => cell.type !== "text" || (!cell.bytes.includes(0) && Buffer.from(Buffer.from(cell.bytes).toString()).equals(cell.bytes)),
);
const ciNames = `create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;
/** Numbers in an order that is neither that of the keys nor that of inserting. */
const scattered = (number: number): number => ((number * 7919) % 104_729) - 50_000;
/** JSON that is neither text nor an integer. */
const otherJson = ["true", "false", "1.5", "[]", "{}", "[true]", '["1"]'];
const idOf = (number: number): TestRow => ({ id: integer(scattered(number)) });
const textKeyOf = (number: number): TestRow => ({ id: text(`${"kKzZéaA".charAt(number % 7)}-${String(scattered(number))}`) });
const uuidOf = (number: number): string =>
  `${scattered(number + 1)
    .toString(16)
    .replace("-", "f")
    .padStart(8, "0")}-0000-4000-8000-00000000abcd`;
const days = (number: number): string => new Date(Date.UTC(2000, 0, 1) + scattered(number) * 86_400_000).toISOString().slice(0, 10);

const shapes: readonly Shape[] = [
  { name: "bigint primary key", sql: `create table person(id bigint primary key, ${columns})`, keyOf: idOf },
  {
    name: "smallint unique constraint",
    sql: `create table person(n serial primary key, id integer not null unique, ${columns})`,
    keyOf: idOf,
  },
  {
    name: "uuid primary key, indexed tokens",
    types: { id: "uuid" },
    sql: `create table person(id uuid primary key, ${columns}, phone_index text); create index on person(email_index); create index on person(phone_index)`,
    layout: { indexColumns: ["email_index", "phone_index"] },
    keyOf: (number) => ({ id: text(uuidOf(number)) }),
  },
  {
    name: "text primary key, ICU collation",
    types: { id: "text" },
    sql: `create table person(id text primary key, ${columns})`,
    keyOf: textKeyOf,
  },
  {
    name: "text primary key, descending index of another collation",
    types: { id: "text" },
    sql: `create table person(id text not null, ${columns}); create unique index on person(id collate "C" desc)`,
    keyOf: textKeyOf,
  },
  {
    name: "text_pattern_ops",
    types: { id: "text" },
    sql: `create table person(id text not null, ${columns}); create unique index on person(id text_pattern_ops)`,
    keyOf: textKeyOf,
  },
  {
    name: "case-insensitive collation everywhere",
    types: { id: "text" },
    setup: ciNames,
    sql: `create table person(id text collate ci primary key, email text collate ci, tenant text collate ci, email_index text collate ci);
          create index on person(email_index); create index on person(tenant)`,
    keyOf: textKeyOf,
  },
  {
    name: "citext",
    types: { id: "text" },
    setup: "create extension citext",
    sql: "create table person(id citext primary key, email citext, tenant citext, email_index citext, phone_index citext); create index on person(email_index)",
    layout: { indexColumns: ["email_index", "phone_index"] },
    keyOf: textKeyOf,
  },
  {
    name: "citext in another schema",
    types: { realm: "text" },
    setup: "create schema crm; create extension citext schema crm",
    sql: `create table person(realm crm.citext, id int, email crm.citext, tenant crm.citext, email_index crm.citext, primary key (realm, id))`,
    layout: { keyColumns: ["realm", "id"] },
    keyOf: (number) => ({ realm: text(`Realm ${String(number % 3)}`), id: integer(scattered(number)) }),
  },
  {
    name: "varchar and domains",
    types: { id: "text" },
    sql: `create domain address as varchar(8000) check (value <> 'never'); create domain nickname as text not null;
          create table person(id nickname primary key, email address, tenant varchar(40), email_index varchar(48)); create index on person(email_index)`,
    keyOf: textKeyOf,
  },
  {
    name: "char(n) key and context",
    types: { id: "text" },
    sql: "create table person(id char(12) primary key, email text, tenant char(6), email_index text)",
    keyOf: (number) => ({ id: text(`k${String(scattered(number))}`.padEnd(12)) }),
    contexts: [text("acme  "), text("ACME  "), nothing],
  },
  {
    name: "composite primary key of four types",
    types: { realm: "text", day: "date", flag: "boolean" },
    sql: `create table person(realm text, day date, flag boolean, id int, ${columns}, primary key (realm, day, flag, id))`,
    layout: { keyColumns: ["id", "realm", "flag", "day"], contextColumns: ["realm", "tenant"] },
    keyOf: (number) => ({
      realm: text(["a", "B", "ä"][number % 3] ?? ""),
      day: text(days(number % 5)),
      flag: integer(number % 2),
      id: integer(scattered(number)),
    }),
  },
  {
    name: "composite key in two directions, numeric and instants",
    types: { id: "numeric", at: "timestamptz" },
    sql: `create table person(id numeric not null, at timestamptz not null, ${columns}); create unique index on person(id desc, at)`,
    layout: { keyColumns: ["id", "at"] },
    keyOf: (number) => ({
      id: text(`${String(scattered(number) % 7)}.50`),
      at: text(`${days(number)} 12:00:00.${String(100_001 + 10 * number)}+00`),
    }),
  },
  {
    name: "floating point key and context",
    types: { id: undefined, tenant: undefined },
    sql: "create table person(id double precision primary key, email text, tenant real, email_index text)",
    keyOf: (number) => ({ id: real(scattered(number) * 1.1e17) }),
    contexts: [nothing, real(0), real(-0), real(0.1), real(Number.POSITIVE_INFINITY)],
  },
  {
    name: "enum, inet and json contexts",
    types: { tenant: "text", address: undefined, extra: undefined },
    sql: `create type kind as enum ('b', 'a'); create table person(id int primary key, email text, tenant kind, address inet, extra jsonb, email_index text)`,
    layout: { contextColumns: ["tenant", "address", "extra"] },
    keyOf: (number) => ({ ...idOf(number), address: text("10.0.0.0/8"), extra: text('{"a": 1.50}') }),
    contexts: [text("a"), text("b"), nothing],
  },
  {
    name: "bytea values, key and context",
    types: { id: "bytes", tenant: "bytes" },
    sql: "create table person(id bytea primary key, email bytea, tenant bytea, email_index text)",
    form: "binary",
    keyOf: (number) => ({ id: blob(number % 256, Math.floor(number / 256), 92, 0) }),
    values: blobs,
    contexts: blobs,
  },
  {
    name: "another schema",
    sql: `create schema crm; create table crm.person(id int primary key, ${columns}); create table person(id int primary key)`,
    from: "crm.person",
    layout: { table: "crm.person" },
    keyOf: idOf,
  },
  {
    name: "odd names",
    types: { select: "integer", ctid2: "text", GROUP: "text" },
    sql: `create schema "Cr""M"; create table "Cr""M"."a.b ""c"""("select" int primary key, "E-mail 'x'" text, "GROUP" text, ctid2 text, "[token]" text, "тема" text)`,
    setup: `drop schema if exists "Cr""M" cascade`,
    from: `"Cr""M"."a.b ""c"""`,
    layout: {
      table: `Cr"M."a.b ""c"""`,
      keyColumns: ["select"],
      valueColumns: ["E-mail 'x'", "тема"],
      contextColumns: ["ctid2", "GROUP"],
      indexColumns: ["[token]"],
    },
    keyOf: (number) => ({ select: integer(scattered(number)) }),
  },
  {
    name: "partitioned table",
    types: { realm: "text" },
    sql: `create table person(realm text, id int, ${columns}, primary key (realm, id)) partition by list (realm);
          create table person_a partition of person for values in ('a'); create table person_b partition of person for values in ('b') partition by range (id);
          create table person_b1 partition of person_b for values from (minvalue) to (0); create table person_b2 partition of person_b for values from (0) to (maxvalue);
          create table person_z(extra int, ${columns}, id int not null, realm text not null); alter table person_z drop extra;
          alter table person attach partition person_z default; create index on person(email_index)`,
    layout: { keyColumns: ["realm", "id"], contextColumns: ["realm", "tenant"] },
    keyOf: (number) => ({ realm: text(["a", "b", "c"][number % 3] ?? ""), id: integer(scattered(number)) }),
  },
  {
    name: "several value columns",
    sql: "create table person(id int primary key, email text, phone varchar, photo bytea, tenant text, email_index text, phone_index text)",
    layout: { valueColumns: ["email", "phone", "photo"], indexColumns: ["email_index", "phone_index"] },
    keyOf: idOf,
  },
  {
    name: "a trigger that minds its own business",
    sql: `create table person(id int primary key, ${columns}); create table log(at timestamptz, id int);
          create function note() returns trigger language plpgsql as $$ begin insert into log values (now(), new.id); return new; end $$;
          create trigger note before update on person for each row execute function note()`,
    keyOf: idOf,
  },
];

describe("PostgreSQL", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  for (const shape of shapes) {
    const { name, sql, from, setup, form = "text", types, keyOf } = shape;
    const layout = { ...plainLayout, ...shape.layout };
    const named = [...layout.keyColumns, ...layout.contextColumns];
    testDatasetSource({
      describe,
      it,
      name: `PostgreSQL, ${name}`,
      layout,
      forms: Object.fromEntries(layout.valueColumns.map((column) => [column, column === "photo" ? "binary" : form] as const)),
      types: Object.fromEntries(Object.entries({ ...plainTypes, ...types }).filter(([column]) => named.includes(column))),
      createTable: () => tables.createTable(sql, layout, from, setup),
      keyOf,
      values: shape.values ?? texts,
      contexts: shape.contexts ?? [text("acme"), text("ACME"), text("acme "), nothing],
      textHoldsNul: false,
    });
  }

  for (const type of ["jsonb", "json"] as const) {
    const layout = { ...plainLayout, valueColumns: ["profile.phone"] };
    testDatasetSource({
      describe,
      it,
      name: `PostgreSQL, path into ${type}`,
      layout,
      forms: { "profile.phone": "text" },
      types: plainTypes,
      createTable: () => createDocumentTable(tables, type, layout),
      keyOf: idOf,
      values: [
        ...texts,
        text('"'),
        text('a\\u0000"b'),
        integer(1),
        integer(-7),
        ...otherJson.map((written) => blob(...Buffer.from(written))),
      ],
      contexts: [text("acme"), text("ACME"), nothing],
      textHoldsNul: false,
    });
  }
});
