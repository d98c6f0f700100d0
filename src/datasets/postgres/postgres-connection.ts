import type { Pool, PoolClient } from "pg";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { isConnectionLost } from "../../postgres/sql-state.ts";
import { databaseFailure, isCancelled, isRepeatable } from "./postgres-failure.ts";
import type { TableName } from "./table-name.ts";
import { beginTransaction, type Timeouts, type TransactionMode } from "./transaction-settings.ts";

/** A row of results: each value as the text that PostgreSQL writes for it. */
export type ResultRow = readonly (string | null)[];

/** What a statement takes for a parameter. */
export type Parameter = string | Buffer | null | readonly (string | Buffer | null)[];

/** How a connection works. */
export interface ConnectionOptions {
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  /** URL without its password, for messages. */
  readonly url: string;
}

/** How often a transaction is begun that the database gives up for another one. */
const mostAttempts = 6;
const firstPause = 10;
/** Between askings to stop, in milliseconds. */
const cancelPause = 50;

/** Every value as text: what it means is the column's business. */
const asText = { getTypeParser: () => (text: string) => text };

/** A transaction that is under way. */
export class Session {
  readonly #client: PoolClient;
  /** What the table was like when the transaction began; undefined without such a table. */
  readonly tableVersion: string | undefined;
  readonly process: string;
  readonly #signal: AbortSignal | undefined;

  constructor(client: PoolClient, process: string, tableVersion: string | undefined, signal: AbortSignal | undefined) {
    this.#client = client;
    this.process = process;
    this.tableVersion = tableVersion;
    this.#signal = signal;
  }

  /** The rows of one statement. @throws the error of `pg`; KeysteadError `CANCELLED` */
  async rows(sql: string, parameters: readonly Parameter[] = []): Promise<ResultRow[]> {
    throwIfCancelled(this.#signal);
    const { rows } = await this.#client.query<(string | null)[]>({ text: sql, values: [...parameters], rowMode: "array", types: asText });
    return rows;
  }

  /** Runs statements without parameters. @throws the error of `pg` */
  async execute(sql: string): Promise<void> {
    await this.#client.query(sql);
  }
}

/** Transactions on a table in a PostgreSQL database. Works behind a pooler that gives each of them another session. */
export class PostgresConnection {
  readonly #pool: Pool;
  readonly #name: TableName;
  readonly #options: ConnectionOptions;
  #closed = false;

  constructor(pool: Pool, name: TableName, options: ConnectionOptions) {
    this.#pool = pool;
    this.#name = name;
    this.#options = options;
  }

  /**
   * Runs `work` inside a transaction, and again when the database gave it up for another one.
   * @param signal stops what the database does
   * @throws KeysteadError `DATABASE_FAILED`, `DATASET_UNSUITABLE`, `CANCELLED` by the signal, `CLOSED` after {@link close}
   */
  async transaction<T>(mode: TransactionMode, work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { clock, url } = this.#options;
    for (let attempt = 1, pause = firstPause; ; attempt++, pause *= 2) {
      if (this.#closed) throw new KeysteadError("CLOSED", `database ${url} was closed: open it again`);
      throwIfCancelled(signal);
      try {
        return await this.#attempt(mode, work, signal);
      } catch (error) {
        if (isCancelled(error)) throwIfCancelled(signal);
        if (!isRepeatable(error) || attempt === mostAttempts) throw databaseFailure(`database ${url}`, error);
      }
      await clock.wait(pause);
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.end();
  }

  async #attempt<T>(mode: TransactionMode, work: (session: Session) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { client, session } = await this.#begin(mode, signal);
    let isBroken = true;
    try {
      const result = await this.#cancellable(session, () => work(session), signal);
      const { command } = await client.query("commit");
      isBroken = false;
      // What PostgreSQL answers when a statement failed before.
      if (command === "ROLLBACK") throw new KeysteadError("INTERNAL", "a failed transaction was committed");
      return result;
    } catch (error) {
      if (isBroken && !isConnectionLost(error)) isBroken = await rollback(client);
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  /** Connections that were lost while nobody used them are left out: nothing was done on them. */
  async #begin(
    mode: TransactionMode,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly client: PoolClient; readonly session: Session }> {
    const begin = beginTransaction(mode, this.#name, this.#options.timeouts);
    for (let lost = 0; ; lost++) {
      const client = await this.#pool.connect();
      let isBroken = true;
      try {
        const answer: unknown = await client.query({ text: begin, rowMode: "array", types: asText });
        const [standby, process, version] = lastRow(answer);
        if (standby !== "f") {
          throw new KeysteadError(
            "DATABASE_FAILED",
            `database ${this.#options.url} is a standby, whose contents are late: let the URL lead to the primary`,
          );
        }
        isBroken = false;
        return { client, session: new Session(client, process ?? "", version ?? undefined, signal) };
      } catch (error) {
        if (!isConnectionLost(error) || lost >= this.#pool.options.max) throw error;
      } finally {
        if (isBroken) client.release(true);
      }
    }
  }

  /**
   * Asks the database again and again to stop, because it forgets that between two statements. The transaction is left open until the
   * last asking has been heard, so that it hits nobody else's.
   */
  async #cancellable<T>(session: Session, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return await work();
    let isWorking = true;
    let cancelling = Promise.resolve();
    const cancel = async (): Promise<void> => {
      while (isWorking) {
        await this.#pool.query("select pg_cancel_backend($1::int)", [session.process]).catch(() => undefined);
        await this.#options.clock.wait(cancelPause);
      }
    };
    const onAbort = (): void => {
      cancelling = cancel();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await work();
    } finally {
      isWorking = false;
      signal.removeEventListener("abort", onAbort);
      await cancelling;
    }
  }
}

/** True when nobody can tell any more what state the session is in. */
async function rollback(client: PoolClient): Promise<boolean> {
  return await client.query("rollback").then(
    () => false,
    () => true,
  );
}

/** The last row that several statements gave. */
function lastRow(answer: unknown): readonly (string | null)[] {
  const last: unknown = Array.isArray(answer) ? answer.at(-1) : answer;
  const rows: unknown = typeof last === "object" && last !== null && "rows" in last ? last.rows : [];
  const row: unknown = Array.isArray(rows) ? rows.at(-1) : [];
  return Array.isArray(row) ? row.map((value: unknown) => (typeof value === "string" ? value : null)) : [];
}

/** @throws KeysteadError `CANCELLED` */
function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new KeysteadError("CANCELLED", "counting was cancelled: run it again", { cause: signal.reason });
}
