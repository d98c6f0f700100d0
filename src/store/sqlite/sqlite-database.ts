import { DatabaseSync } from "node:sqlite";
import { CompiledQuery, Kysely } from "kysely";
import { systemClock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import type { TamperFinding } from "../store.ts";
import type { LineBlock } from "../store.ts";
import type { Sql, SqlDatabase, SqlSchema, StructureExpectation } from "../sql/sql-database.ts";
import { FairLock } from "../sql/fair-lock.ts";
import { LineWriter } from "./line-writer.ts";
import { retryWhileBusy, synchronousWait, type LockWait } from "./lock-wait.ts";
import { createSqliteDialect } from "./sqlite-dialect.ts";
import { mapSqliteError, sqliteBusy } from "./sqlite-errors.ts";
import { checkIndexes, compareStructure, readStructure, type Structure } from "./sqlite-structure.ts";

/** Marks a database file as a Keystead store: "Kyst" in ASCII. https://sqlite.org/pragma.html#pragma_application_id */
const applicationId = 0x4b797374n;

/** Settings of every connection. */
const connectionSettings = [
  "synchronous = full",
  "secure_delete = on",
  "foreign_keys = on",
  "trusted_schema = off",
  "cell_size_check = on",
  "temp_store = memory",
];

/** Where and how to open a database. */
export interface SqliteDatabaseOptions {
  /** URL of the store. */
  readonly url: string;
  readonly location: string | URL;
  readonly readOnly: boolean;
  readonly wait: LockWait;
  readonly assertInPlace: () => void;
  /** Audit lines are written by a thread. */
  readonly threaded?: boolean;
}

/** SQLite through `node:sqlite`: one connection. */
export class SqliteDatabase implements SqlDatabase {
  readonly url: string;
  readonly readOnly: boolean;
  readonly sql: Sql;
  readonly columnTypes = { text: "text", integer: "integer", bytes: "blob" } as const;
  readonly tableOptions = "strict";
  readonly #database: DatabaseSync;
  readonly #lock = new FairLock();
  readonly #wait: LockWait;
  readonly #lines: LineWriter | undefined;
  /** As `appendLines` of the store. */
  readonly appendLines?: (block: LineBlock) => Promise<void>;
  #expected: Structure | undefined;

  private constructor(database: DatabaseSync, options: SqliteDatabaseOptions) {
    this.url = options.url;
    this.readOnly = options.readOnly;
    this.#database = database;
    this.#wait = options.wait;
    const { location, threaded = false, readOnly, assertInPlace, wait } = options;
    if (threaded && !readOnly && typeof location === "string") {
      const lines = new LineWriter({ location, settings: connectionSettings, timeout: wait.timeout });
      this.#lines = lines;
      this.appendLines = async (block) => {
        assertInPlace();
        await lines.append(block);
      };
    }
    this.sql = new Kysely<SqlSchema>({
      dialect: createSqliteDialect({ database, lock: this.#lock, wait: options.wait, assertInPlace: options.assertInPlace }),
    });
  }

  /** Opens a database and sets up its connection. */
  static async open(options: SqliteDatabaseOptions): Promise<SqliteDatabase> {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(options.location, { readOnly: options.readOnly, timeout: synchronousWait, allowExtension: false });
      for (const setting of connectionSettings) database.exec(`pragma ${setting}`);
      const opened = new SqliteDatabase(database, options);
      await opened.#setUpFile();
      return opened;
    } catch (error) {
      database?.close();
      throw mapSqliteError(error);
    }
  }

  /** Opens an empty database that lives as long as its connection. */
  static async openInMemory(): Promise<SqliteDatabase> {
    const wait = { clock: systemClock, timeout: 0 };
    return await SqliteDatabase.open({ url: "memory:", location: ":memory:", readOnly: false, wait, assertInPlace: () => undefined });
  }

  /** The file is made when it is opened. */
  async createPlace(): Promise<void> {
    return Promise.resolve();
  }

  async readSchemaVersion(sql: Sql): Promise<number> {
    const query = "select v.user_version as version, a.application_id as application, exists (select 1 from sqlite_schema) as used";
    const { rows } = await sql.executeQuery<{ version: bigint; application: bigint; used: bigint }>(
      CompiledQuery.raw(`${query} from pragma_user_version v, pragma_application_id a`),
    );
    const [found] = rows;
    if (found === undefined || found.used === 0n) return 0;
    if (found.application !== applicationId) {
      throw new KeysteadError("STORE_FAILED", "the database belongs to another program: choose another file for the store");
    }
    if (found.version < 1n) {
      throw new KeysteadError("STORE_TAMPERED", "the store's schema number was changed by hand: restore the store from a backup");
    }
    return Number(found.version);
  }

  async writeSchemaVersion(sql: Sql, version: number): Promise<void> {
    await sql.executeQuery(CompiledQuery.raw(`pragma application_id = ${applicationId.toString()}`));
    await sql.executeQuery(CompiledQuery.raw(`pragma user_version = ${version.toString()}`));
  }

  async inspect(sql: Sql, { guarded, build }: StructureExpectation): Promise<TamperFinding[]> {
    this.#expected ??= await readNewStructure(build);
    const structure = compareStructure(await readStructure(sql), this.#expected);
    const changed = new Set(structure.map(({ table }) => table));
    const unchanged = guarded.filter((table) => !changed.has(table));
    return [...structure, ...(await checkIndexes(sql, unchanged))];
  }

  /**
   * Moves the write-ahead log into the file and empties it: with `secure_delete`, what was deleted is then overwritten in
   * both. It can't reach what the file system, the disk, snapshots and backups kept of earlier contents.
   */
  async scrub(): Promise<void> {
    await this.#lock.run(async () => {
      try {
        await retryWhileBusy(() => {
          checkpoint(this.#database);
        }, this.#wait);
      } catch (error) {
        throw mapSqliteError(error);
      }
    });
  }

  async close(): Promise<void> {
    await this.#lines?.close();
    await this.#lock.run(async () => {
      if (this.#database.isOpen) this.#database.close();
      await this.sql.destroy();
    });
  }

  /** Reads first: a file of another program is refused before anything in it changes. */
  async #setUpFile(): Promise<void> {
    await this.sql
      .transaction()
      .setAccessMode("read only")
      .execute(async (sql) => await this.readSchemaVersion(sql));
    if (this.readOnly) return;
    await retryWhileBusy(() => {
      useWriteAheadLog(this.#database);
    }, this.#wait);
  }
}

/** The structure that `build` makes in an empty database. */
async function readNewStructure(build: StructureExpectation["build"]): Promise<Structure> {
  const scratch = await SqliteDatabase.openInMemory();
  try {
    await build(scratch);
    return await readStructure(scratch.sql);
  } finally {
    await scratch.close();
  }
}

/** Switches the file to a write-ahead log, which it then keeps. */
function useWriteAheadLog(database: DatabaseSync): void {
  const mode = database.prepare("pragma journal_mode = wal").get()?.["journal_mode"];
  if (mode !== "wal" && mode !== "memory") {
    throw new KeysteadError("STORE_FAILED", "the file system can't hold a write-ahead log: keep the store on a local disk");
  }
}

/** Throws SQLite's own error for a lock when a reader still needs the log. */
function checkpoint(database: DatabaseSync): void {
  const result = database.prepare("pragma wal_checkpoint(truncate)").get();
  if (result?.["busy"] === 1) throw Object.assign(new Error("a reader still needs the write-ahead log"), { errcode: sqliteBusy });
}
