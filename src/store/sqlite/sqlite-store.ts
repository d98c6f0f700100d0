import { resolve } from "node:path";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { SqlStore } from "../sql/sql-store.ts";
import type { Store } from "../store.ts";
import { SqliteDatabase } from "./sqlite-database.ts";
import { prepareSqliteFile, watchSqliteFile } from "./sqlite-file.ts";

const defaultBusyTimeout = 5_000;
const maxBusyTimeout = 3_600_000;

/** How to open a store in an SQLite file. */
export interface SqliteStoreOptions {
  /** Measures the wait for locks. */
  readonly clock: Clock;
  /** How long a transaction waits for the lock of another process, in milliseconds: 0 to 3,600,000. Default 5,000. */
  readonly busyTimeout?: number;
  /** Makes the file when it is missing. Default false. */
  readonly create?: boolean;
  /** Opens the file for reading only; it may then be on a read-only disk. Default false. */
  readonly readOnly?: boolean;
  /** A thread adds audit lines, so that nothing else waits for their disk. Default false. */
  readonly threaded?: boolean;
}

/**
 * Opens a store in an SQLite file on a local disk. Several processes may have it open at once.
 *
 * The file and its companions (`-wal`, `-shm`) are made with mode 0600 and refused when others may read or write them.
 *
 * @throws KeysteadError `STORE_NOT_FOUND` when there is no such file and `create` is not set, `INSECURE_FILE`,
 * `STORE_READ_ONLY`, `STORE_FULL`, `STORE_FAILED` when it is not an SQLite database or damaged.
 *
 * @example
 * const store = await openSqliteStore("./keystead.db", { clock: systemClock });
 */
export async function openSqliteStore(path: string, options: SqliteStoreOptions): Promise<Store> {
  const { clock, busyTimeout = defaultBusyTimeout, create = false, readOnly = false, threaded = false } = options;
  if (path === "" || path.includes("\0"))
    throw new KeysteadError("INVALID_ARGUMENT", "the path of the store is empty or holds a NUL: name a file");
  if (!(busyTimeout >= 0 && busyTimeout <= maxBusyTimeout)) {
    throw new KeysteadError("INVALID_ARGUMENT", `busyTimeout is 0 to ${maxBusyTimeout} milliseconds`);
  }
  const file = resolve(path);
  const location = await prepareSqliteFile(file, { create, readOnly });
  const assertInPlace = watchSqliteFile(file);
  return new SqlStore(
    await SqliteDatabase.open({
      url: `sqlite:${path}`,
      location,
      readOnly,
      wait: { clock, timeout: busyTimeout },
      assertInPlace,
      threaded,
    }),
  );
}
