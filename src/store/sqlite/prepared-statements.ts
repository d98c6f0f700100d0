import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { SqliteDatabase, SqliteStatement } from "kysely";
import { mapSqliteError } from "./sqlite-errors.ts";

const maxStatements = 500;

/** A `node:sqlite` database in the shape that Kysely works with. Statements are prepared once and kept; errors are KeysteadErrors. */
export class PreparedStatements implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(sql: string): SqliteStatement {
    const prepared = this.#statements.get(sql) ?? mapErrors(() => toKyselyStatement(this.#database.prepare(sql)));
    if (this.#statements.size >= maxStatements) this.#statements.clear();
    this.#statements.set(sql, prepared);
    return prepared;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }
}

function toKyselyStatement(statement: StatementSync): SqliteStatement {
  statement.setReadBigInts(true);
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => mapErrors(() => statement.all(...parameters.map(toInput))),
    run: (parameters) => mapErrors(() => statement.run(...parameters.map(toInput))),
    iterate: (parameters) => mapErrors(() => statement.iterate(...parameters.map(toInput))),
  };
}

function toInput(value: unknown): SQLInputValue {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint" || value instanceof Uint8Array)
    return value;
  throw new TypeError(`a statement takes text, numbers, bytes and null, not ${typeof value}`);
}

function mapErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw mapSqliteError(error);
  }
}
