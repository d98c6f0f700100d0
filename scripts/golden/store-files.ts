import { CompiledQuery } from "kysely";
import { deriveMetadataKey } from "../../src/store/metadata-key.ts";
import { manifestTable } from "../../src/store/sql/manifest.ts";
import type { SqlValue } from "../../src/store/sql/sql-database.ts";
import { guardedLayouts } from "../../src/store/sql/sql-tables.ts";
import { rowFormatColumn, rowMacColumn, rowVersionColumn, type TableLayout } from "../../src/store/sql/table-layout.ts";
import { readStructure } from "../../src/store/sqlite/sqlite-structure.ts";
import type { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import { formatJson, hex } from "./format.ts";
import { storeKey } from "./keyset.ts";

type Row = Readonly<Record<string, SqlValue>>;

/** `metadata.json`: what the MAC of every row of the golden store covers. */
export async function metadataFile(database: SqliteDatabase): Promise<string> {
  const rows: unknown[] = [];
  for (const table of [manifestTable, ...guardedLayouts()])
    rows.push(...(await readRows(database, table.name)).map((row) => macked(table, row)));
  return formatJson({
    about: "Keystead format 1, row MACs of the store in store.sql. A column is its name, type letter and value; bytes are hexadecimal.",
    storeKey: hex(storeKey),
    metadataKey: hex(deriveMetadataKey(storeKey).export()),
    rows,
  });
}

/** `store.sql`: the golden store as statements that make it in an empty SQLite database. */
export async function storeFile(database: SqliteDatabase): Promise<string> {
  const statements = [
    "-- Keystead format 1, schema 1: a store whose master key is in keys.json. Test keys, never use them.",
    `pragma application_id = ${String(await readPragma(database, "application_id"))};`,
    `pragma user_version = ${String(await readPragma(database, "user_version"))};`,
  ];
  for (const { name, definition } of (await readStructure(database.sql)).values()) {
    statements.push(`${definition};`);
    const rows = await readRows(database, name);
    statements.push(...rows.map((row) => `insert into "${name}" values (${Object.values(row).map(literal).join(", ")});`));
  }
  return `${statements.join("\n")}\n`;
}

async function readRows(database: SqliteDatabase, table: string): Promise<readonly Row[]> {
  return (await database.sql.executeQuery<Row>(CompiledQuery.raw(`select * from "${table}" order by 1, 2, 3`))).rows;
}

async function readPragma(database: SqliteDatabase, name: string): Promise<unknown> {
  return (await database.sql.executeQuery<Row>(CompiledQuery.raw(`pragma ${name}`))).rows[0]?.[name];
}

function macked(table: TableLayout, row: Row): object {
  return {
    table: table.name,
    format: Number(row[rowFormatColumn]),
    columns: table.columns.map(({ sqlName, kind }) => [sqlName, row[sqlName] === null ? "n" : kind.letter, valueText(row[sqlName])]),
    rowVersion: Number(row[rowVersionColumn]),
    mac: valueText(row[rowMacColumn]),
  };
}

function valueText(value: SqlValue | undefined): string {
  if (value instanceof Uint8Array) return hex(value);
  return value === null || value === undefined ? "" : String(value);
}

function literal(value: SqlValue): string {
  if (value instanceof Uint8Array) return `x'${hex(value)}'`;
  if (value === null) return "null";
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
}
