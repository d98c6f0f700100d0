import {
  type CompiledQuery,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  type TransactionSettings,
} from "kysely";
import type { Pool, PoolClient } from "pg";
import { z } from "zod";
import { KeysteadError } from "../../errors.ts";
import { isConnectionLost } from "../../postgres/sql-state.ts";
import { mapPostgresError } from "./postgres-errors.ts";

/** What the dialect runs on. */
export interface PostgresDialectOptions {
  readonly pool: Pool;
  /** SQL that begins a transaction, with its settings. */
  readonly begin: (accessMode: "read only" | "read write") => string;
  /** Called with the last row that `begin` gave; throws when the transaction may not go on. @returns its id */
  readonly began: (row: Readonly<Record<string, unknown>>) => string;
  /** SQL that marks a transaction, right before it commits. */
  readonly mark: (id: string) => string;
  /**
   * Finds out whether a marked transaction was committed whose connection was lost meanwhile.
   * @throws the last failure when the database can't be asked
   */
  readonly wasCommitted: (id: string) => Promise<boolean>;
}

/** Kysely's dialect for a pool of `pg`. Everything that its queries throw is a KeysteadError. */
export function createPostgresDialect(options: PostgresDialectOptions): Dialect {
  return {
    createDriver: () => new PoolDriver(options),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (database) => new PostgresIntrospector(database),
  };
}

class PoolDriver implements Driver {
  readonly #options: PostgresDialectOptions;
  readonly #connections = new WeakMap<DatabaseConnection, PoolConnection>();

  constructor(options: PostgresDialectOptions) {
    this.#options = options;
  }

  async init(): Promise<void> {
    return Promise.resolve();
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#options.pool.ending) throw new KeysteadError("CLOSED", "the store is closed: open it again");
    const connection = await PoolConnection.take(this.#options.pool);
    this.#connections.set(connection, connection);
    return connection;
  }

  async beginTransaction(connection: DatabaseConnection, { accessMode = "read write" }: TransactionSettings): Promise<void> {
    const beginning = this.#of(connection);
    try {
      const id = this.#options.began(await beginning.begin(this.#options.begin(accessMode)));
      beginning.marked = accessMode === "read write" ? id : undefined;
    } catch (error) {
      await this.rollbackTransaction(connection);
      throw error;
    }
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const committing = this.#of(connection);
    const { marked } = committing;
    try {
      const { command } = await committing.run(`${marked === undefined ? "" : this.#options.mark(marked)}commit`);
      // What PostgreSQL answers when a statement failed before.
      if (command === "ROLLBACK") throw new KeysteadError("STORE_FAILED", "the database rolled the transaction back: try again");
    } catch (error) {
      const wasLost = committing.isBroken;
      committing.isBroken = true;
      // Its place in the pool may be the only one that is left to ask by.
      committing.release();
      if (wasLost && marked !== undefined && (await this.#wasCommitted(marked))) return;
      throw error;
    }
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const rolling = this.#of(connection);
    if (rolling.isBroken) return;
    await rolling.run("rollback").catch(() => {
      rolling.isBroken = true;
    });
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#of(connection).release();
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    await this.#options.pool.end();
  }

  async #wasCommitted(id: string): Promise<boolean> {
    try {
      return await this.#options.wasCommitted(id);
    } catch (error) {
      throw new KeysteadError(
        "STORE_FAILED",
        "the database was lost while a change was committed, and can't be asked since: look whether it was made before you repeat it",
        { cause: new Error("the end of a transaction is unknown", { cause: error }) },
      );
    }
  }

  #of(connection: DatabaseConnection): PoolConnection {
    const own = this.#connections.get(connection);
    if (own === undefined) throw new KeysteadError("INTERNAL", "a connection of another driver was given back");
    return own;
  }
}

const answerSchema = z.object({ command: z.string(), rows: z.array(z.record(z.string(), z.unknown())) });

const writes: ReadonlySet<string> = new Set(["InsertQueryNode", "UpdateQueryNode", "DeleteQueryNode"]);

class PoolConnection implements DatabaseConnection {
  readonly #pool: Pool;
  #client: PoolClient;
  /** Id of the transaction under way, when it is marked. */
  marked: string | undefined;
  /** Set when nobody can tell what state the session is in: it is not used again. */
  isBroken = false;
  #isReleased = false;

  private constructor(pool: Pool, client: PoolClient) {
    this.#pool = pool;
    this.#client = client;
  }

  static async take(pool: Pool): Promise<PoolConnection> {
    return new PoolConnection(pool, await connect(pool));
  }

  /**
   * Begins a transaction. Connections that were lost while nobody used them are left out: nothing was done on them.
   * @returns the last row that the statements gave
   */
  async begin(text: string): Promise<Readonly<Record<string, unknown>>> {
    for (let lost = 0; ; lost++) {
      try {
        return (await this.run(text)).row;
      } catch (error) {
        if (!this.isBroken || lost >= this.#pool.options.max) throw error;
      }
      this.release();
      this.#client = await connect(this.#pool);
      this.isBroken = false;
      this.#isReleased = false;
    }
  }

  /** A write that is refused must not end its transaction, as it would in PostgreSQL without a savepoint. */
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!writes.has(query.query.kind)) return await this.#execute<R>(query);
    await this.run("savepoint keystead_write");
    try {
      const result = await this.#execute<R>(query);
      await this.run("release savepoint keystead_write");
      return result;
    } catch (error) {
      await this.run("rollback to savepoint keystead_write").catch(() => {
        this.isBroken = true;
      });
      throw error;
    }
  }

  /** Results come as a whole: nothing in a store is larger than memory. */
  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new KeysteadError("INTERNAL", "a store's queries are not streamed: read them in pages");
  }

  /** One or more statements without parameters. @returns command and last row of the last one */
  async run(text: string): Promise<{ readonly command: string; readonly row: Readonly<Record<string, unknown>> }> {
    try {
      const answer: unknown = await this.#client.query(text);
      // Several statements have as many answers.
      const last: unknown = Array.isArray(answer) ? answer.at(-1) : answer;
      const { command, rows } = answerSchema.parse(last);
      return { command, row: rows.at(-1) ?? {} };
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** May be called twice. */
  release(): void {
    if (!this.#isReleased) this.#client.release(this.isBroken);
    this.#isReleased = true;
  }

  async #execute<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const { command, rowCount, rows } = await this.#client.query<object & R>(sql, [...parameters]);
      const isWrite = command === "INSERT" || command === "UPDATE" || command === "DELETE";
      return { rows, ...(isWrite && { numAffectedRows: BigInt(rowCount ?? 0) }) };
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): KeysteadError {
    if (isConnectionLost(error)) this.isBroken = true;
    return mapPostgresError(error);
  }
}

async function connect(pool: Pool): Promise<PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw mapPostgresError(error);
  }
}
