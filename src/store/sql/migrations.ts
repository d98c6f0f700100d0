import { KeysteadError } from "../../errors.ts";
import { createFirstTables } from "./migrations/0001-first-tables.ts";
import { createAccessTables } from "./migrations/0002-access.ts";
import { createLeases } from "./migrations/0003-leases.ts";
import type { Sql, SqlDatabase } from "./sql-database.ts";

/**
 * Brings a database from one schema number to the next. A released step is never edited: what it makes must not depend on
 * `tables.ts`, which describes the newest schema only. It runs without the store's key, so it never writes a row that has a MAC: a new column
 * gets a default, and its row format is in `tables.ts`.
 */
export interface Migration {
  /** 1, 2, 3 … without gaps: the schema number after this step. */
  readonly number: number;
  readonly up: (sql: Sql, database: SqlDatabase) => Promise<void>;
}

/** Every step, in order. */
export const migrations: readonly Migration[] = [
  { number: 1, up: createFirstTables },
  { number: 2, up: createAccessTables },
  { number: 3, up: createLeases },
];

/** Schema number after all of the steps. */
export function newestSchema(steps: readonly Migration[]): number {
  return steps.at(-1)?.number ?? 0;
}

/** Runs the steps after schema number `from`. The caller holds the write lock. */
export async function runMigrations(sql: Sql, database: SqlDatabase, steps: readonly Migration[], from: number): Promise<void> {
  for (const step of steps.filter(({ number }) => number > from)) {
    await step.up(sql, database);
    await database.writeSchemaVersion(sql, step.number);
  }
}

/**
 * The database has the schema of this program.
 * @throws KeysteadError `STORE_NOT_FOUND`, `STORE_SCHEMA_OLDER`, `STORE_SCHEMA_NEWER`
 */
export function assertSchema(found: number, steps: readonly Migration[]): void {
  const expected = newestSchema(steps);
  const numbers = `schema ${found}, this program works with ${expected}`;
  if (found === 0)
    throw new KeysteadError(
      "STORE_NOT_FOUND",
      "no store was created here yet: create one first (keystead init), or correct the store's URL",
    );
  if (found > expected) throw new KeysteadError("STORE_SCHEMA_NEWER", `the store has ${numbers}: upgrade Keystead`);
  if (found < expected)
    throw new KeysteadError("STORE_SCHEMA_OLDER", `the store has ${numbers}: back it up, then migrate it (keystead doctor --migrate)`);
}
