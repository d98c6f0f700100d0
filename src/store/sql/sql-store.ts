import { AsyncLocalStorage } from "node:async_hooks";
import type { KeyObject } from "node:crypto";
import { KeysteadError } from "../../errors.ts";
import type { CreateOptions, LineBlock, Store, StoreHeader, StoreIdentity, StoreTables, StoreWatch, TamperFinding } from "../store.ts";
import { type TableDefinitions, tables } from "../tables.ts";
import { FairLock } from "./fair-lock.ts";
import { readHeader } from "./header.ts";
import { insertManifest, loadManifest, updateManifest, type Manifest } from "./manifest.ts";
import { assertSchema, migrations, newestSchema, runMigrations, type Migration } from "./migrations.ts";
import { tampered } from "../tampered.ts";
import type { Sql, SqlDatabase } from "./sql-database.ts";
import { openTables } from "./sql-tables.ts";
import { TransactionScope } from "./transaction-scope.ts";
import { verifyStore } from "./verification.ts";

type AccessMode = "read only" | "read write";

/** The store, on any database that {@link SqlDatabase} describes. */
export class SqlStore implements Store {
  readonly url: string;
  readonly #database: SqlDatabase;
  readonly #migrations: readonly Migration[];
  readonly #definitions: TableDefinitions;
  /** Set while a transaction's callback runs, so that a nested one is refused instead of waiting for itself. */
  readonly #running = new AsyncLocalStorage<{ active: boolean }>();
  /** Writers of this process come in the order of their start, and hold no connection while they wait for each other. */
  readonly #writers = new FairLock();
  /** Transactions under way: closing waits for them. */
  readonly #executing = new Set<Promise<unknown>>();
  #metadataKey: KeyObject | undefined;
  #unlocked = false;
  #closed = false;
  /** The highest generation that was read so far: whoever shows a lower one later was put back. */
  #seenGeneration = 0;

  readonly watch?: (onChange: () => void) => StoreWatch;
  readonly replicated?: (patience: number) => Promise<void>;
  readonly appendLines?: (lines: LineBlock) => Promise<void>;

  /** @param definitions the tables as they are after the steps */
  constructor(database: SqlDatabase, steps: readonly Migration[] = migrations, definitions: TableDefinitions = tables) {
    this.url = database.url;
    this.#database = database;
    if (database.watch !== undefined) this.watch = database.watch.bind(database);
    if (database.replicated !== undefined) this.replicated = database.replicated.bind(database);
    const append = database.appendLines?.bind(database);
    if (append !== undefined) this.appendLines = (lines) => this.#append(() => append(lines));
    this.#migrations = steps;
    this.#definitions = definitions;
  }

  async exists(): Promise<boolean> {
    return await this.#execute("read only", async (sql) => (await this.#database.readSchemaVersion(sql)) > 0);
  }

  async create(
    identity: StoreIdentity,
    metadataKey: KeyObject,
    seed: (tables: StoreTables) => Promise<void>,
    { above = 0 }: CreateOptions = {},
  ): Promise<void> {
    await this.#execute("read write", async (sql) => {
      if ((await this.#database.readSchemaVersion(sql)) > 0) {
        throw new KeysteadError("STORE_EXISTS", "a store exists here already: open it, or choose another place for the new one");
      }
      await this.#database.createPlace(sql);
      await runMigrations(sql, this.#database, this.#migrations, 0);
      await insertManifest(sql, metadataKey, identity, newestSchema(this.#migrations), above + 1);
      await this.#runScope(new TransactionScope(sql, metadataKey, true), seed, 0);
    });
    this.#metadataKey = metadataKey;
    this.#unlocked = true;
  }

  async header(): Promise<StoreHeader> {
    return await this.#execute("read only", async (sql) => {
      await this.#assertSchema(sql);
      return await readHeader(sql, this.#definitions);
    });
  }

  /** The key stays known when something is found, so that {@link SqlStore.verify} can list all of it; nothing else works then. */
  async unlock(metadataKey: KeyObject): Promise<StoreIdentity> {
    this.#unlocked = false;
    this.#metadataKey = metadataKey;
    const manifest = await this.#execute("read only", async (sql, seenGeneration) => {
      await this.#assertSchema(sql);
      const findings = await this.#verify(sql, metadataKey);
      if (findings.length > 0) throw tampered(findings);
      return await this.#loadManifest(sql, metadataKey, seenGeneration);
    });
    this.#unlocked = true;
    return manifest.identity;
  }

  async verify(): Promise<TamperFinding[]> {
    this.#assertCallable();
    const key = this.#metadataKey;
    if (key === undefined) throw locked();
    return await this.#execute("read only", async (sql) => {
      await this.#assertSchema(sql);
      return await this.#verify(sql, key);
    });
  }

  async generation(): Promise<number> {
    return (await this.#manifest()).generation;
  }

  async revision(): Promise<number> {
    return (await this.#manifest()).revision;
  }

  async raiseGeneration(floor: number): Promise<void> {
    if (!Number.isSafeInteger(floor) || floor < 0 || floor === Number.MAX_SAFE_INTEGER) {
      throw new KeysteadError("INVALID_ARGUMENT", "the floor of the generation is an integer from 0 to 2^53 - 2");
    }
    const key = this.#key();
    await this.#execute("read write", async (sql, seenGeneration) => {
      await this.#assertSchema(sql);
      const manifest = await this.#loadManifest(sql, key, seenGeneration);
      if (manifest.generation <= floor) await this.#saveManifest(sql, key, { ...manifest, generation: floor + 1, revision: floor + 1 });
    });
  }

  async read<T>(work: (tables: StoreTables) => Promise<T>): Promise<T> {
    return await this.#inScope("read only", work);
  }

  async transaction<T>(work: (tables: StoreTables) => Promise<T>): Promise<T> {
    return await this.#inScope("read write", work);
  }

  async migrate(): Promise<void> {
    const found = await this.#execute("read only", async (sql) => await this.#database.readSchemaVersion(sql));
    if (found === newestSchema(this.#migrations)) return;
    await this.#execute("read write", async (sql) => {
      const from = await this.#database.readSchemaVersion(sql);
      if (from === 0 || from > newestSchema(this.#migrations)) assertSchema(from, this.#migrations);
      await runMigrations(sql, this.#database, this.#migrations, from);
    });
  }

  async scrub(): Promise<void> {
    this.#assertCallable();
    this.#assertWritable();
    await this.#database.scrub();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#assertNotNested();
    this.#closed = true;
    this.#metadataKey = undefined;
    await Promise.allSettled(this.#executing);
    await this.#database.close();
  }

  async #inScope<T>(mode: AccessMode, work: (tables: StoreTables) => Promise<T>): Promise<T> {
    const key = this.#key();
    return await this.#execute(mode, async (sql, seenGeneration) => {
      await this.#assertSchema(sql);
      return await this.#runScope(new TransactionScope(sql, key, mode === "read write"), work, seenGeneration);
    });
  }

  /** Runs the caller's work and enters what it changed into the manifest. */
  async #runScope<T>(scope: TransactionScope, work: (tables: StoreTables) => Promise<T>, seenGeneration: number): Promise<T> {
    const result = await this.#run(scope, work);
    scope.assertWhole();
    if (scope.changes.unchanged) return result;
    const manifest = await this.#loadManifest(scope.sql, scope.key, seenGeneration);
    const generation = manifest.generation + 1;
    const revision = scope.followed ? generation : manifest.revision;
    await this.#saveManifest(scope.sql, scope.key, { ...manifest, generation, revision, sums: manifest.sums.plus(scope.changes) });
    return result;
  }

  /** Runs the caller's work; the scope has ended when this settles, whichever way. */
  async #run<T>(scope: TransactionScope, work: (tables: StoreTables) => Promise<T>): Promise<T> {
    const running = { active: true };
    try {
      return await this.#running.run(running, work, openTables(scope, this.#definitions));
    } finally {
      running.active = false;
      await scope.end();
    }
  }

  /** One transaction of the database. Its work may run several times; all but the last time are rolled back. */
  async #execute<T>(mode: AccessMode, work: (sql: Sql, seenGeneration: number) => Promise<T>): Promise<T> {
    this.#assertCallable();
    const database = this.#database;
    const transaction = async (): Promise<T> => {
      const seenGeneration = this.#seenGeneration;
      return await database.sql
        .transaction()
        .setIsolationLevel("serializable")
        .setAccessMode(mode)
        .execute(async (sql) => await work(sql, seenGeneration));
    };
    const execute = async (): Promise<T> => (database.repeat === undefined ? await transaction() : await database.repeat(transaction));
    if (mode === "read write") this.#assertWritable();
    return await this.#track(mode === "read write" ? this.#writers.run(execute) : execute());
  }

  async #append(append: () => Promise<void>): Promise<void> {
    this.#key();
    this.#assertWritable();
    await this.#execute("read only", async (sql) => {
      await this.#assertSchema(sql);
    });
    await this.#track(this.#writers.run(append));
  }

  /** Closing waits for it. */
  async #track<T>(executing: Promise<T>): Promise<T> {
    this.#executing.add(executing);
    try {
      return await executing;
    } finally {
      this.#executing.delete(executing);
    }
  }

  async #verify(sql: Sql, key: KeyObject): Promise<TamperFinding[]> {
    return await verifyStore(sql, key, this.#database, this.#definitions, async (scratch) => {
      await runMigrations(scratch.sql, scratch, this.#migrations, 0);
    });
  }

  async #manifest(): Promise<Manifest> {
    const key = this.#key();
    return await this.#execute("read only", async (sql, seenGeneration) => await this.#loadManifest(sql, key, seenGeneration));
  }

  async #loadManifest(sql: Sql, key: KeyObject, seenGeneration: number): Promise<Manifest> {
    const manifest = await loadManifest(sql, key);
    if (manifest.generation < seenGeneration) {
      throw new KeysteadError(
        "STORE_RESTORED",
        "the store went back to an earlier state while it was open: close it, find out who put it back, then open it again",
      );
    }
    this.#seenGeneration = Math.max(this.#seenGeneration, manifest.generation);
    return manifest;
  }

  async #saveManifest(sql: Sql, key: KeyObject, manifest: Manifest): Promise<void> {
    await updateManifest(sql, key, { ...manifest, schema: newestSchema(this.#migrations) });
    if (manifest.revision === manifest.generation) await this.#database.announce?.(sql);
  }

  async #assertSchema(sql: Sql): Promise<void> {
    assertSchema(await this.#database.readSchemaVersion(sql), this.#migrations);
  }

  #assertCallable(): void {
    if (this.#closed) throw new KeysteadError("CLOSED", "the store is closed: open it again");
    this.#assertNotNested();
  }

  #assertNotNested(): void {
    if (this.#running.getStore()?.active === true) {
      throw new KeysteadError(
        "INTERNAL",
        "a store was called inside of its own transaction: use the transaction's tables, and call it afterwards",
      );
    }
  }

  #assertWritable(): void {
    if (this.#database.readOnly) throw new KeysteadError("STORE_READ_ONLY", "the store was opened read-only: open it for writing");
  }

  #key(): KeyObject {
    this.#assertCallable();
    if (!this.#unlocked || this.#metadataKey === undefined) throw locked();
    return this.#metadataKey;
  }
}

function locked(): KeysteadError {
  return new KeysteadError("INTERNAL", "the store is locked: unlock it with its metadata key first");
}
