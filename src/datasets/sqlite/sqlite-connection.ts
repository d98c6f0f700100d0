import { constants } from "node:buffer";
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { sqlitePath } from "./sqlite-url.ts";
import { busyFailure, databaseFailure, isBusy, isSqliteError } from "./sqlite-failure.ts";

/** How a connection waits for other connections. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** Milliseconds to keep trying while another connection holds a lock. */
  readonly patience: number;
}

/** A row of results, in the order of the columns; integers are bigints. */
export type ResultRow = readonly SQLOutputValue[];

/**
 * SQLite waits for a lock without letting anything else of this process run, so it waits only this long (milliseconds);
 * after that {@link SqliteConnection.attempt} waits without blocking.
 */
const blockingWait = 25;
const firstPause = 5;
const longestPause = 100;
const maxStatements = 64;

/**
 * A cache that spills in the middle of a transaction would lock out the application's readers until its end. Plaintext that
 * ciphertext replaces is overwritten with zeros. None of these outlasts the connection.
 */
const settings = "PRAGMA cache_size = -16384; PRAGMA cache_spill = OFF; PRAGMA secure_delete = ON";

/** A connection to an application's database file. It never creates the file and never changes its journal mode. */
export class SqliteConnection {
  readonly url: string;
  readonly #options: ConnectionOptions;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * Opens the file, waiting for it as {@link attempt} does.
   * @throws KeysteadError `DATABASE_FAILED` when the file doesn't exist or can't be opened, `INVALID_ARGUMENT` for a wrong URL.
   */
  static async open(url: string, options: ConnectionOptions): Promise<SqliteConnection> {
    const connection = new SqliteConnection(url, options, openFile(url));
    try {
      await connection.attempt(() => {
        connection.execute(settings);
      });
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  private constructor(url: string, options: ConnectionOptions, database: DatabaseSync) {
    this.url = url;
    this.#options = options;
    this.#database = database;
  }

  /** Opens another connection to the same file. */
  openAnother(): Promise<SqliteConnection> {
    return SqliteConnection.open(this.url, this.#options);
  }

  /** The prepared statement; kept for the next time. */
  statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const [oldest] = this.#statements.keys();
    if (oldest !== undefined && this.#statements.size >= maxStatements) this.#statements.delete(oldest);
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** All rows of a query that has few. */
  all(sql: string, ...parameters: SQLInputValue[]): ResultRow[] {
    const rows: readonly unknown[] = this.statement(sql).all(...parameters);
    return rows.filter(isResultRow);
  }

  /** The first row. */
  first(sql: string, ...parameters: SQLInputValue[]): ResultRow | undefined {
    return this.all(sql, ...parameters)[0];
  }

  /** The rows of a query, one at a time. Leaving the loop early ends the query. */
  *each(sql: string, ...parameters: SQLInputValue[]): Generator<ResultRow, void, undefined> {
    for (const row of this.statement(sql).iterate(...parameters)) if (isResultRow(row)) yield row;
  }

  /** Runs a statement that changes rows; how many it changed itself, its triggers not counted. */
  change(sql: string, parameters: readonly SQLInputValue[]): number {
    return Number(this.statement(sql).run(...parameters).changes);
  }

  /** False after SQLite rolled a transaction back by itself. */
  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  begin(kind: "DEFERRED" | "IMMEDIATE"): void {
    this.#database.exec(`BEGIN ${kind}`);
  }

  commit(): void {
    this.#database.exec("COMMIT");
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
  }

  execute(sql: string): void {
    this.#database.exec(sql);
  }

  /** Runs `work` inside a transaction that ends before this returns. */
  transaction<T>(kind: "DEFERRED" | "IMMEDIATE", work: () => T): T {
    this.begin(kind);
    try {
      const result = work();
      this.commit();
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Runs `work`, which must leave nothing open when it throws, and runs it again while another connection holds a lock.
   * @throws KeysteadError `DATABASE_FAILED`; `CLOSED` after {@link close}.
   */
  async attempt<T>(work: () => T): Promise<T> {
    const { clock, patience } = this.#options;
    const start = clock.monotonic();
    for (let pause = firstPause; ; pause = Math.min(pause * 2, longestPause)) {
      this.#requireOpen();
      try {
        return work();
      } catch (error) {
        if (!isSqliteError(error)) throw error;
        if (!isBusy(error)) throw databaseFailure(`database ${this.url}`, error);
        if (clock.monotonic() - start >= patience) throw busyFailure(`database ${this.url}`, patience, error);
      }
      await clock.wait(pause);
    }
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #requireOpen(): void {
    if (!this.#database.isOpen) throw new KeysteadError("CLOSED", `database ${this.url} was closed: open it again`);
  }
}

function isResultRow(row: unknown): row is ResultRow {
  return Array.isArray(row);
}

function openFile(url: string): DatabaseSync {
  const path = sqlitePath(url);
  const problem = fileProblem(path);
  if (problem !== undefined) {
    throw new KeysteadError(
      "DATABASE_FAILED",
      `database ${url}: ${problem}: check the path; an application's database is never created here`,
    );
  }
  const location = pathToFileURL(path);
  // Without a mode, SQLite would create the file if it vanished since it was looked at.
  location.searchParams.set("mode", "rw");
  try {
    return new DatabaseSync(location, {
      timeout: blockingWait,
      readBigInts: true,
      returnArrays: true,
      // Anything longer could not become a string, and the row would silently be missing.
      limits: { length: constants.MAX_STRING_LENGTH },
    });
  } catch (error) {
    throw isSqliteError(error) ? databaseFailure(`database ${url}`, error) : error;
  }
}

function fileProblem(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? undefined : "this is not a file";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return code === "ENOENT" ? "the file does not exist" : `the file can't be looked at (${code})`;
  }
}
