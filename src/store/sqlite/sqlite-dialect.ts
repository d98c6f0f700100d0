import type { DatabaseSync } from "node:sqlite";
import {
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type TransactionSettings,
} from "kysely";
import { KeysteadError } from "../../errors.ts";
import type { FairLock } from "../sql/fair-lock.ts";
import { retryWhileBusy, type LockWait } from "./lock-wait.ts";
import { PreparedStatements } from "./prepared-statements.ts";
import { mapSqliteError } from "./sqlite-errors.ts";

/** What the dialect runs on. */
export interface SqliteDialectOptions {
  readonly database: DatabaseSync;
  /** Held by whoever uses the one connection: transactions run one after the other, in the order of their start. */
  readonly lock: FairLock;
  readonly wait: LockWait;
  /** Called before each transaction; throws when the database may not be used any more. */
  readonly assertInPlace: () => void;
}

/** Kysely's dialect for one connection of `node:sqlite`. Everything that its queries throw is a KeysteadError. */
export function createSqliteDialect(options: SqliteDialectOptions): Dialect {
  return {
    createDriver: () => new NodeSqliteDriver(options),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new QueueingSqliteAdapter(),
    createIntrospector: (database) => new SqliteIntrospector(database),
  };
}

/** Kysely's own queue for a single connection is not fair. The driver's is, so Kysely is told to leave queueing to it. */
class QueueingSqliteAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class NodeSqliteDriver extends SqliteDriver {
  readonly #options: SqliteDialectOptions;

  constructor(options: SqliteDialectOptions) {
    super({ database: new PreparedStatements(options.database) });
    this.#options = options;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await this.#options.lock.acquire();
    if (this.#options.database.isOpen) return await super.acquireConnection();
    this.#options.lock.release();
    throw new KeysteadError("CLOSED", "the store is closed: open it again");
  }

  override async releaseConnection(): Promise<void> {
    await super.releaseConnection();
    this.#options.lock.release();
  }

  /** A writer takes the write lock at once, so that no transaction has to be given up later because another wrote first. */
  override async beginTransaction(_connection: DatabaseConnection, settings: TransactionSettings = {}): Promise<void> {
    const { database, wait, assertInPlace } = this.#options;
    const begin = settings.accessMode === "read only" ? beginSnapshot : beginWrite;
    try {
      assertInPlace();
      await retryWhileBusy(() => {
        begin(database);
      }, wait);
    } catch (error) {
      throw mapSqliteError(error);
    }
  }

  /** SQLite rolls back by itself after some errors, for example on a full disk. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#options.database.isTransaction) await super.rollbackTransaction(connection);
  }
}

function beginWrite(database: DatabaseSync): void {
  database.exec("begin immediate");
}

/** A deferred transaction's snapshot is that of its first statement: this makes one. */
function beginSnapshot(database: DatabaseSync): void {
  database.exec("begin deferred");
  try {
    database.exec("select 1 from sqlite_schema limit 1");
  } catch (error) {
    database.exec("rollback");
    throw error;
  }
}
