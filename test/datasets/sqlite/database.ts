import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { SqliteSourceProvider } from "../../../src/datasets/sqlite/sqlite-source-provider.ts";
import type { Cell, DatasetSource, SourceLayout } from "../../../src/datasets/source.ts";
import type { TestRow, TestTable } from "../../../src/testing/dataset-source.ts";

/** The application's own connection to a database file in a folder of its own. */
export interface TestDatabase {
  readonly path: string;
  readonly url: string;
  readonly database: DatabaseSync;
  readonly drop: () => void;
}

/** Makes a database file by some SQL. */
function createDatabase(sql: string): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), "keystead source "));
  const path = join(folder, "crm 100% #1?.db");
  const database = new DatabaseSync(path, { readBigInts: true });
  database.exec(`PRAGMA synchronous = OFF; ${sql}`);
  const drop = (): void => {
    if (database.isOpen) database.close();
    rmSync(folder, { recursive: true });
  };
  return { path, url: `sqlite:${path}`, database, drop };
}

/** A layout that has only what is named. */
export function layoutOf(table: string, columns: Partial<Omit<SourceLayout, "table">>): SourceLayout {
  return { table, keyColumns: ["id"], valueColumns: [], contextColumns: [], indexColumns: [], ...columns };
}

export function openSource(url: string, layout: SourceLayout, busyTimeout?: number): Promise<DatasetSource> {
  return new SqliteSourceProvider(busyTimeout === undefined ? {} : { busyTimeout }).open(url, layout);
}

/** Makes a table by some SQL, and does to it what an application does. */
export async function createTable(sql: string, layout: SourceLayout): Promise<TestTable & TestDatabase> {
  const db = createDatabase(sql);
  const columns = [...new Set([...layout.keyColumns, ...layout.valueColumns, ...layout.contextColumns, ...layout.indexColumns])];
  const { database } = db;
  return {
    ...db,
    openSource: (other) => openSource(db.url, other),
    insert: async (rows) => {
      database.exec("BEGIN");
      for (const row of rows) insertRow(database, layout.table, row);
      database.exec("COMMIT");
    },
    update: async (key, set) => {
      const { sql: setSql, parameters } = list(set, " = ", ", ");
      const where = list(key, " IS ", " AND ");
      database.prepare(`UPDATE ${quote(layout.table)} SET ${setSql} WHERE ${where.sql}`).run(...parameters, ...where.parameters);
    },
    remove: async (key) => {
      const where = list(key, " IS ", " AND ");
      database.prepare(`DELETE FROM ${quote(layout.table)} WHERE ${where.sql}`).run(...where.parameters);
    },
    read: async () => readRows(database, layout.table, columns),
    drop: async () => {
      db.drop();
    },
  };
}

/** Adds a row; with `OR IGNORE`, only if no constraint refuses it. */
export function insertRow(database: DatabaseSync, table: string, row: TestRow, onConflict: "" | "OR IGNORE" = ""): void {
  const names = Object.keys(row).map(quote).join(", ");
  const values = Object.values(row).map(parameter).join(", ");
  database.prepare(`INSERT ${onConflict} INTO ${quote(table)} (${names}) VALUES (${values})`).run(...Object.values(row).map(bind));
}

/** Every row, each cell by its storage type and bytes. */
export function readRows(database: DatabaseSync, table: string, columns: readonly string[]): TestRow[] {
  const parts = columns.map(
    (name, index) =>
      `typeof(${quote(name)}) AS t${String(index)}, CAST(${quote(name)} AS BLOB) AS b${String(index)}, ${quote(name)} AS v${String(index)}`,
  );
  const rows = database.prepare(`SELECT ${parts.join(", ")} FROM ${quote(table)}`).all();
  return rows.map((row) =>
    Object.fromEntries(
      columns.map((name, index): [string, Cell] => [
        name,
        toCell(row[`t${String(index)}`], row[`b${String(index)}`], row[`v${String(index)}`]),
      ]),
    ),
  );
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function bind(cell: Cell): SQLInputValue {
  if (cell.type === "null") return null;
  return "bytes" in cell ? cell.bytes : cell.value;
}

function parameter(cell: Cell): string {
  return cell.type === "text" ? "CAST(? AS TEXT)" : "?";
}

function list(row: TestRow, operator: string, separator: string): { readonly sql: string; readonly parameters: SQLInputValue[] } {
  const sql = Object.entries(row).map(([name, cell]) => `${quote(name)}${operator}${parameter(cell)}`);
  return { sql: sql.join(separator), parameters: Object.values(row).map(bind) };
}

function toCell(type: unknown, bytes: unknown, value: unknown): Cell {
  if (type === "text" && bytes instanceof Uint8Array) return { type: "text", bytes };
  if (type === "blob" && value instanceof Uint8Array) return { type: "blob", bytes: value };
  if (typeof value === "bigint") return { type: "integer", value };
  if (typeof value === "number") return { type: "real", value };
  return { type: "null" };
}
