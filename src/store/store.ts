import type { KeyObject } from "node:crypto";
import type { NewRecord, RecordKey, StoredRecord, TableName } from "./tables.ts";

/** A part of a table's rows, in the order of the primary key. */
export interface Page<K> {
  /** Rows behind this key, which need not be that of a row, but fits the condition they are listed by. Absent: from the first on. */
  readonly after?: K;
  /** At most so many: 1 or more. */
  readonly limit: number;
  /** From the last row to the first. Default false. */
  readonly descending?: boolean;
}

/**
 * The rows of one table. Every row that is read has its MAC checked first.
 *
 * All methods throw `STORE_TAMPERED` naming table and primary key when a MAC does not fit, `STORE_BUSY`, `STORE_FULL`,
 * `STORE_READ_ONLY` or `STORE_FAILED` for what the database says.
 */
export interface Table<N extends TableName> {
  get(key: RecordKey<N>): Promise<StoredRecord<N> | undefined>;
  /** Rows whose columns equal those of `where`, ordered by primary key: all of them, or a page. */
  list(where?: Partial<NewRecord<N>>, page?: Page<RecordKey<N>>): Promise<StoredRecord<N>[]>;
  /** @throws KeysteadError `NAME_TAKEN` when a unique column combination exists already. */
  insert(record: NewRecord<N>): Promise<StoredRecord<N>>;
  /**
   * Inserts many rows by few statements.
   * @throws KeysteadError `NAME_TAKEN` when one of them has a unique column combination that exists already; the transaction then
   *   can't commit.
   */
  insertAll(records: readonly NewRecord<N>[]): Promise<void>;
  /** Compare-and-set on `rowVersion`. @throws KeysteadError `CONFLICT` when the row changed or is gone. */
  update(record: StoredRecord<N>): Promise<StoredRecord<N>>;
  /** Compare-and-set on `rowVersion`. @throws KeysteadError `CONFLICT` when the row changed or is gone. */
  remove(record: StoredRecord<N>): Promise<void>;
}

/** Every table of a store, inside one transaction. */
export type StoreTables = { readonly [N in TableName]: Table<N> };

/** Facts about a store, written once by {@link Store.create} and MACed with the manifest. */
export interface StoreIdentity {
  readonly id: string;
  /** A demo store runs on a clock that can be moved; the doctor says so. */
  readonly demo: boolean;
  readonly createdAt: number;
}

/** What can be read before the store key is open. Nothing of it is trusted until {@link Store.unlock} succeeded. */
export interface StoreHeader {
  readonly identity: StoreIdentity;
  readonly keks: readonly NewRecord<"keks">[];
  /** Wraps of the store key. */
  readonly storeKeyWraps: readonly NewRecord<"wraps">[];
}

/** One thing that is wrong with a store's rows. */
export interface TamperFinding {
  readonly table: string;
  /** Primary key as text, or undefined when the manifest as a whole is wrong. */
  readonly row?: string;
  readonly problem: string;
}

/** Hears of the changes that other processes make. */
export interface StoreWatch {
  /** Why nothing is heard at the moment; undefined when all is well. Waits for an attempt to connect that is under way. */
  problem(): Promise<unknown>;
  close(): Promise<void>;
}

/** How a new store begins. */
export interface CreateOptions {
  /** Its generation begins above this one: that of the store which it is a copy of. */
  readonly above?: number;
}

/** Audit lines of one writer that follow each other. */
export interface LineBlock {
  readonly writer: string;
  /** Number of the first line. */
  readonly first: number;
  /** Whole lines, each with its newline. */
  readonly pieces: readonly Uint8Array[];
}

/** Where metadata lives. */
export interface Store {
  /** URL as it was opened, without credentials. */
  readonly url: string;
  /** False when nothing was created here yet. */
  exists(): Promise<boolean>;
  /**
   * Makes the tables and the manifest of a new store and unlocks it. `seed` inserts the first rows in the same transaction,
   * so a crash leaves either no store or a whole one.
   * @throws KeysteadError `STORE_EXISTS`
   */
  create(
    identity: StoreIdentity,
    metadataKey: KeyObject,
    seed: (tables: StoreTables) => Promise<void>,
    options?: CreateOptions,
  ): Promise<void>;
  /** @throws KeysteadError `STORE_NOT_FOUND`, `STORE_SCHEMA_OLDER`, `STORE_SCHEMA_NEWER` */
  header(): Promise<StoreHeader>;
  /**
   * Gives the key that MACs rows, then checks every row and the manifest.
   * @throws KeysteadError `STORE_TAMPERED` naming what was found.
   */
  unlock(metadataKey: KeyObject): Promise<StoreIdentity>;
  /** Checks every row and the manifest again; an empty list is good. */
  verify(): Promise<TamperFinding[]>;
  /** Manifest generation: grows with every change of a guarded row by any process. */
  generation(): Promise<number>;
  /** The generation in which something changed last that processes follow: everything guarded but counters. */
  revision(): Promise<number>;
  /**
   * Calls back soon after each change of {@link revision}, by whatever process, as well as the database can: some calls may be
   * missing. Absent where the database tells nobody.
   */
  watch?(onChange: () => void): StoreWatch;
  /**
   * Resolves once every standby that follows the database has applied what is committed by now: whichever takes over, none of it is
   * lost. Absent where there are no standbys.
   * @param patience - Milliseconds to wait at most. A standby that is in time may need some tens to say so.
   * @throws KeysteadError `STORE_BUSY` naming the standbys that have not, `STORE_FAILED` when that can't be seen
   */
  replicated?(patience: number): Promise<void>;
  /**
   * Adds audit lines in a transaction of their own that keeps nothing else in this process waiting. Their memory is used again once it is over.
   * Absent where {@link transaction} is as good.
   * @throws KeysteadError `NAME_TAKEN` when one of them is there already, and what the database says
   */
  appendLines?(lines: LineBlock): Promise<void>;
  /** Raises the generation above `floor` (after a restore); no-op when it is above already. */
  raiseGeneration(floor: number): Promise<void>;
  /** One consistent snapshot, no writes. `work` may run again, as in {@link transaction}. */
  read<T>(work: (tables: StoreTables) => Promise<T>): Promise<T>;
  /**
   * Serialisable; commits when `work` resolves, rolls back when it rejects. Never nest.
   *
   * `work` may run several times, from the beginning: a database gives transactions up for others, and connections are lost. Only
   * what the last run did is there, so whatever else it changes must not add up.
   */
  transaction<T>(work: (tables: StoreTables) => Promise<T>): Promise<T>;
  /** Brings an older schema up to this version's. Safe to start from several processes. */
  migrate(): Promise<void>;
  /** After a destruction: removes remains of deleted rows from the files, as far as the database can. */
  scrub(): Promise<void>;
  close(): Promise<void>;
}
