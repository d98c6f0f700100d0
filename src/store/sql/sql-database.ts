import type { Kysely } from "kysely";
import type { LineBlock, StoreWatch, TamperFinding } from "../store.ts";
import type { TableLayout } from "./table-layout.ts";

/** A value as it goes into and comes out of a database. Integers come out as bigint, so that none is rounded. */
export type SqlValue = string | number | bigint | Uint8Array | null;

/** Tables are data (`tables.ts`), so Kysely learns their names when it runs. */
export type SqlSchema = Record<string, Record<string, SqlValue>>;

/** The queries of one connection or transaction. */
export type Sql = Kysely<SqlSchema>;

/** What {@link SqlDatabase.inspect} compares a database with. */
export interface StructureExpectation {
  /** Every table that there should be, as the newest migration leaves it. */
  readonly tables: readonly TableLayout[];
  /** Tables whose indexes must find every row. */
  readonly guarded: readonly string[];
  /** Makes the structure that this version expects in an empty database of the same kind. */
  readonly build: (scratch: SqlDatabase) => Promise<void>;
}

/**
 * All that the SQL store needs to know of one kind of database. A further kind is a folder that implements this.
 *
 * `sql` throws KeysteadErrors only. Its transactions are serialisable and read from one snapshot; the access mode
 * `read only` takes no lock that a writer waits for. A statement that a constraint refuses changes nothing and leaves its
 * transaction usable.
 */
export interface SqlDatabase {
  /** URL as it was opened, without credentials. */
  readonly url: string;
  readonly readOnly: boolean;
  readonly sql: Sql;
  /** The database's names of the column types. Text compares by its UTF-8 bytes, integers have 64 bits. */
  readonly columnTypes: Readonly<Record<"text" | "integer" | "bytes", string>>;
  /** What follows the closing bracket of `create table`. */
  readonly tableOptions: string;
  /**
   * Runs a whole transaction, and again when the database gave it up for another one or was lost before it committed. Absent where
   * neither happens.
   */
  repeat?<T>(transaction: () => Promise<T>): Promise<T>;
  /** Makes what holds the tables of a new store, where that is missing. */
  createPlace(sql: Sql): Promise<void>;
  /**
   * Number of the last migration step; 0 when nothing was created here.
   * @throws KeysteadError `STORE_FAILED` when the database belongs to another program.
   */
  readSchemaVersion(sql: Sql): Promise<number>;
  writeSchemaVersion(sql: Sql, version: number): Promise<void>;
  /** What in the structure (tables, indexes, triggers) is not as this version makes it. */
  inspect(sql: Sql, expectation: StructureExpectation): Promise<TamperFinding[]>;
  /** Tells those who {@link watch}, once the transaction has committed. Absent where the database tells nobody. */
  announce?(sql: Sql): Promise<void>;
  /** As {@link Store.watch}. */
  watch?(onChange: () => void): StoreWatch;
  /** As `replicated` of the store. */
  replicated?(patience: number): Promise<void>;
  /** As {@link Store.appendLines}. */
  appendLines?(lines: LineBlock): Promise<void>;
  /** Removes what deleted rows left in the files, as far as the database can. */
  scrub(): Promise<void>;
  /** Waits for what is running, then closes. */
  close(): Promise<void>;
}
