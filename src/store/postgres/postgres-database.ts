import { createHash } from "node:crypto";
import { CompiledQuery, Kysely } from "kysely";
import type { Pool } from "pg";
import { z } from "zod";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { ChangeListener } from "../../postgres/change-listener.ts";
import type { HostRing } from "../../postgres/host-ring.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/identifier.ts";
import type { Sql, SqlDatabase, SqlSchema, StructureExpectation } from "../sql/sql-database.ts";
import type { StoreWatch, TamperFinding } from "../store.ts";
import { CommitMarks } from "./commit-marks.ts";
import { createPostgresDialect } from "./postgres-dialect.ts";
import { isRepeatable, mapPostgresError } from "./postgres-errors.ts";
import { inspectStructure, schemaTable } from "./postgres-structure.ts";
import { awaitStandbys } from "./standbys.ts";

/** Tables that held key material: what they no longer hold must not stay in their files. */
const secretTables = ["wraps", "versions"];

/** Pauses between attempts, in milliseconds, each twice as long as the one before. */
const pauses = { first: 20, longest: 1_000 } as const;
/** Milliseconds after which no further attempt begins, at a transaction and at finding out whether one was committed. */
const patience = { transaction: 4_000, outcome: 20_000 } as const;

const answerSchema = z.object({ rows: z.array(z.unknown()) });
const begunSchema = z.object({ standby: z.boolean(), id: z.string() });

/** What a database is opened with. */
export interface PostgresDatabaseOptions {
  /** URL of the store, without credentials. */
  readonly url: string;
  readonly pool: Pool;
  /** Where to listen for changes, beside the pool. */
  readonly listening: HostRing;
  readonly schema: string;
  readonly readOnly: boolean;
  /** Paces the attempts at what the database gave up. */
  readonly clock: Clock;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Milliseconds. */
  readonly statementTimeout: number;
}

/**
 * PostgreSQL through `pg`. Works behind a pooler that gives each transaction another session.
 *
 * Writers come one after the other: each takes an advisory lock first, then reads what is committed. So no transaction is given
 * up because another wrote first, and each sees the manifest that it replaces. Readers have one snapshot and never wait.
 *
 * What the database gives up nevertheless (a deadlock with somebody's own SQL), or loses before it commits, is begun again. Of a
 * connection that is lost while a commit is under way {@link CommitMarks} tell how it ended.
 */
export class PostgresDatabase implements SqlDatabase {
  readonly url: string;
  readonly readOnly: boolean;
  readonly sql: Sql;
  readonly columnTypes = { text: 'text collate "C"', integer: "bigint", bytes: "bytea" } as const;
  readonly tableOptions = "";
  readonly #pool: Pool;
  readonly #schema: string;
  readonly #settings: string;
  readonly #options: PostgresDatabaseOptions;
  readonly #channel: string;
  readonly #marks: CommitMarks;
  #hasTables = false;

  constructor(options: PostgresDatabaseOptions) {
    this.url = options.url;
    this.readOnly = options.readOnly;
    this.#options = options;
    this.#pool = options.pool;
    this.#schema = options.schema;
    this.#channel = `keystead_${nameHash(options.schema).toString("hex")}`;
    this.#settings = transactionSettings(options);
    this.#marks = new CommitMarks(options.schema);
    this.sql = new Kysely<SqlSchema>({
      dialect: createPostgresDialect({
        pool: options.pool,
        begin: (mode) => this.#begin(mode),
        began: (row) => this.#assertPrimary(row),
        mark: (id) => this.#marks.mark(id),
        wasCommitted: (id) => this.#wasCommitted(id),
      }),
    });
  }

  async repeat<T>(transaction: () => Promise<T>): Promise<T> {
    return await this.#persist(transaction, isRepeatable, patience.transaction);
  }

  async createPlace(sql: Sql): Promise<void> {
    const { rows } = await sql.executeQuery(CompiledQuery.raw("select 1 from pg_namespace where nspname = $1", [this.#schema]));
    if (rows.length > 0) return;
    const schema = quoteIdentifier(this.#schema);
    await sql.executeQuery(CompiledQuery.raw(`create schema ${schema}`));
  }

  async readSchemaVersion(sql: Sql): Promise<number> {
    if (!this.#hasTables) {
      const { rows } = await sql.executeQuery<{ name: string }>(
        CompiledQuery.raw(
          "select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind <> 'i'",
          [this.#schema],
        ),
      );
      if (rows.length === 0) return 0;
      if (!rows.some(({ name }) => name === schemaTable)) {
        throw new KeysteadError(
          "STORE_FAILED",
          "the database's schema holds tables of another program: give the store a schema of its own (?schema=NAME)",
        );
      }
    }
    const { rows } = await sql.executeQuery<{ version: bigint }>(
      CompiledQuery.raw(`select version from ${quoteIdentifier(this.#schema)}.${schemaTable}`),
    );
    this.#hasTables = true;
    const [found] = rows;
    if (found === undefined || rows.length > 1 || found.version < 1n) {
      throw new KeysteadError("STORE_TAMPERED", "the store's schema number was changed by hand: restore the store from a backup");
    }
    return Number(found.version);
  }

  async writeSchemaVersion(sql: Sql, version: number): Promise<void> {
    const table = `${quoteIdentifier(this.#schema)}.${schemaTable}`;
    await sql.executeQuery(CompiledQuery.raw(`create table if not exists ${table} (version bigint not null)`));
    await sql.executeQuery(CompiledQuery.raw(this.#marks.creation));
    const { numAffectedRows } = await sql.executeQuery(CompiledQuery.raw(`update ${table} set version = $1`, [version]));
    if (numAffectedRows === 0n) await sql.executeQuery(CompiledQuery.raw(`insert into ${table} (version) values ($1)`, [version]));
  }

  async inspect(sql: Sql, expectation: StructureExpectation): Promise<TamperFinding[]> {
    return await inspectStructure(sql, this.#schema, expectation.tables);
  }

  async announce(sql: Sql): Promise<void> {
    await sql.executeQuery(CompiledQuery.raw("select pg_notify($1, '')", [this.#channel]));
  }

  watch(onChange: () => void): StoreWatch {
    return new ChangeListener({ hosts: this.#options.listening, channel: this.#channel, onChange });
  }

  async replicated(longest: number): Promise<void> {
    await awaitStandbys(this.#pool, this.#options.clock, longest);
  }

  /**
   * Rewrites the tables that held key material, so that their files hold what is there now. It can't reach the write-ahead log,
   * archives, standbys, and what the disk, snapshots and backups kept of earlier contents.
   */
  async scrub(): Promise<void> {
    try {
      const client = await this.#pool.connect();
      let broken = true;
      try {
        await client.query(`set lock_timeout = ${String(this.#options.lockTimeout)}`);
        for (const table of secretTables) await client.query(`vacuum (full) ${quoteIdentifier(this.#schema)}.${table}`);
        await client.query("reset lock_timeout");
        broken = false;
      } finally {
        client.release(broken);
      }
    } catch (error) {
      throw mapPostgresError(error);
    }
  }

  async close(): Promise<void> {
    await this.sql.destroy();
    if (!this.#pool.ending) await this.#pool.end();
  }

  #begin(mode: "read only" | "read write"): string {
    const level = mode === "read only" ? "repeatable read read only" : "read committed";
    const lock = mode === "read only" ? "" : `select pg_advisory_xact_lock(${writeLock(this.#schema)}); `;
    // Asked last, because a standby may become the primary while the lock is waited for.
    return `begin isolation level ${level}; ${this.#settings}; ${lock}select pg_is_in_recovery() as standby, gen_random_uuid()::text as id`;
  }

  /** Whoever holds the write lock asks after the transaction has ended, whichever way. */
  async #wasCommitted(id: string): Promise<boolean> {
    const ask = async (): Promise<boolean> => {
      const client = await this.#pool.connect();
      let isBroken = true;
      try {
        // A sequence of statements, which PostgreSQL answers in turn; rolled back, so that nothing of it has an end to find out.
        this.#assertPrimary(lastRow(await client.query(this.#begin("read write"))));
        const { rows } = await client.query<{ isThere: boolean }>(this.#marks.placeQuestion);
        const isMarked =
          rows[0]?.isThere === true && (await client.query<{ committed: boolean }>(this.#marks.question(id))).rows[0]?.committed === true;
        await client.query("rollback");
        isBroken = false;
        return isMarked;
      } finally {
        client.release(isBroken);
      }
    };
    return await this.#persist(ask, () => true, patience.outcome);
  }

  /** @returns the transaction's id */
  #assertPrimary(row: unknown): string {
    const { standby, id } = begunSchema.parse(row);
    if (!standby || this.readOnly) return id;
    throw new KeysteadError(
      "STORE_READ_ONLY",
      "the database is a standby, whose contents are late: let the store's URL lead to the primary",
    );
  }

  async #persist<T>(work: () => Promise<T>, isWorthwhile: (error: unknown) => boolean, longest: number): Promise<T> {
    const { clock } = this.#options;
    const until = clock.monotonic() + longest;
    for (let pause: number = pauses.first; ; pause = Math.min(2 * pause, pauses.longest)) {
      try {
        return await work();
      } catch (error) {
        if (!isWorthwhile(error) || clock.monotonic() + pause > until) throw error;
      }
      await clock.wait(pause);
    }
  }
}

/** The last row that several statements gave. */
function lastRow(answers: unknown): unknown {
  const last: unknown = Array.isArray(answers) ? answers.at(-1) : answers;
  return answerSchema.parse(last).rows.at(-1);
}

/** Set for each transaction, because a pooler may give each another session. The first statement makes the snapshot. */
function transactionSettings({ schema, lockTimeout, statementTimeout }: PostgresDatabaseOptions): string {
  const settings = {
    search_path: `${quoteIdentifier(schema)}, pg_temp`,
    lock_timeout: String(lockTimeout),
    statement_timeout: String(statementTimeout),
    idle_in_transaction_session_timeout: String(statementTimeout),
    row_security: "off",
  };
  const calls = Object.entries(settings).map(([name, value]) => `set_config('${name}', ${quoteLiteral(value)}, true)`);
  // Never weaker than what the database's owner chose.
  const durable = "case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) end";
  return `select ${[...calls, durable].join(", ")}`;
}

/** Number of the advisory lock that writers of a schema's store take: one that no other program is likely to take. */
function writeLock(schema: string): string {
  return nameHash(schema).readBigInt64BE().toString();
}

function nameHash(schema: string): Buffer {
  return createHash("sha256").update(`keystead store ${schema}`).digest().subarray(0, 8);
}
