import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import type { DatasetInput, JobResult, RowProblem } from "../../../src/index.ts";
import { createTestKeystead, temporaryFolder, type TestKeystead } from "../../support/test-keystead.ts";
import { quoted } from "./quoted.ts";

/** An application's database file, and a store whose datasets may name it `crm`. */
export interface Crm extends TestKeystead {
  readonly folder: string;
  readonly path: string;
  /** The application's own connection. */
  readonly database: DatabaseSync;
}

/** Makes the database with `schema`, and a store in memory with the keys `pii`, `fin` and `bi` (for blind indexes). */
export async function createCrm(schema: string, options: Parameters<typeof createTestKeystead>[0] = {}): Promise<Crm> {
  const folder = temporaryFolder();
  const path = join(folder, "crm.db");
  const database = openDatabase(path);
  database.exec(schema);
  const made = await createTestKeystead({ databases: { crm: `sqlite:${path}` }, ...options });
  const { keys } = made.keystead;
  await keys.create({ name: "pii", purpose: "pii" });
  await keys.create({ name: "fin", purpose: "financial" });
  await keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  return { ...made, folder, path, database };
}

/** A connection as an application has it; closed after the test. */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readBigInts: true, timeout: 10_000 });
  database.exec("PRAGMA synchronous = OFF");
  onTestFinished(() => {
    if (database.isOpen) database.close();
  });
  return database;
}

/** A dataset on table `person` with key `id` and its protected columns under these keys. */
export function personDataset(columns: Readonly<Record<string, string>>, more: Partial<DatasetInput> = {}): DatasetInput {
  const protectedColumns = Object.fromEntries(Object.entries(columns).map(([name, key]) => [name, { key }]));
  return { database: "crm", table: "person", keyColumns: ["id"], columns: protectedColumns, ...more };
}

/** One row, exactly: each value with its storage type, text as bytes. */
export type ExactRow = readonly (readonly [type: string, value: unknown])[];

/** A table, exactly; in the order of its first column unless SQL of another order is given. */
export function readExactly(database: DatabaseSync, table: string, orderBy = "2"): ExactRow[] {
  const columns = database
    .prepare("SELECT name FROM pragma_table_info(?)")
    .all(table)
    .map((row) => String(row["name"]));
  const list = columns.flatMap((name) => {
    const column = quoted(name);
    return [`typeof(${column})`, `iif(typeof(${column}) = 'text', CAST(${column} AS BLOB), ${column})`];
  });
  const statement = database.prepare(`SELECT ${list.join(", ")} FROM ${quoted(table)} ORDER BY ${orderBy}`);
  statement.setReturnArrays(true);
  const rows: unknown[] = statement.all();
  return rows.map((row) => {
    const cells: unknown[] = Array.isArray(row) ? row : [];
    return columns.map((_, index) => [String(cells[index * 2]), cells[index * 2 + 1]] as const);
  });
}

/** Values of a column, by the text of a key column. */
export function readColumn(database: DatabaseSync, column: string, table = "person", key = "id"): Map<string, unknown> {
  const rows = database.prepare(`SELECT CAST(${quoted(key)} AS TEXT) AS key, ${quoted(column)} AS value FROM ${quoted(table)}`).all();
  return new Map(rows.map((row) => [String(row["key"]), row["value"]]));
}

/** The single number that a query gives. */
export function queryNumber(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

/** Changes whenever another connection writes to the database. */
export function dataVersion(database: DatabaseSync): number {
  return queryNumber(database, "PRAGMA data_version");
}

/** Records each update of a table in `replaced` (rowid or key of the row). */
export function logUpdates(database: DatabaseSync, table = "person", key = "id"): void {
  database.exec(
    `CREATE TABLE IF NOT EXISTS replaced (key);
     CREATE TRIGGER log_updates AFTER UPDATE ON ${quoted(table)} BEGIN INSERT INTO replaced VALUES (old.${quoted(key)}); END`,
  );
}

/** How often each row was updated since {@link logUpdates}, or since this was called last. */
export function takeUpdates(database: DatabaseSync): Map<string, number> {
  const rows = database.prepare("SELECT CAST(key AS TEXT) AS key, count(*) AS times FROM replaced GROUP BY key").all();
  database.exec("DELETE FROM replaced");
  return new Map(rows.map((row) => [String(row["key"]), Number(row["times"])]));
}

/** Problems of a job as `row column code`, in order. */
export function problemsOf({ progress }: JobResult): string[] {
  return progress.firstProblems.map(({ row, column, code }: RowProblem) => `${Object.values(row).join("/")} ${column} ${code}`);
}
