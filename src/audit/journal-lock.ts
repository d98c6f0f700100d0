import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";

/** A lock file that another process, or another part of this one, holds. */
export type HeldElsewhere = "held";
/** Nobody can say who holds a lock: there is no such file, or it is of no use. */
export type NoLock = "none";

/**
 * A lock that ends with the process that holds it, however that ends: the operating system drops it.
 *
 * Node has no file locks of its own; SQLite has. The file is an empty database with a transaction that never ends.
 */
export class JournalLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Makes the file and takes its lock. @throws what the system says */
  static create(path: string): JournalLock {
    closeSync(openSync(path, "wx", 0o600));
    return new JournalLock(openLocked(path));
  }

  /** Takes the lock of a file that is there. Waits for nobody. */
  static take(path: string): JournalLock | HeldElsewhere | NoLock {
    if (!existsSync(path)) return "none";
    try {
      return new JournalLock(openLocked(path));
    } catch (error) {
      return isBusy(error) ? "held" : "none";
    }
  }

  /** Gives the lock back. Doing so again does nothing. */
  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function openLocked(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  // Never makes the file: somebody may have removed it meanwhile.
  url.searchParams.set("mode", "rw");
  const database = new DatabaseSync(url, { timeout: 0, allowExtension: false });
  try {
    database.exec("pragma journal_mode = memory; begin exclusive");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLITE_BUSY. https://sqlite.org/rescode.html */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === 5;
}
