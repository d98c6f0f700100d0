import { accessSync, closeSync, constants, existsSync, openSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { KeysteadError } from "../../errors.ts";
import { syncDirectory } from "../../durable-file.ts";
import { mapSqliteError } from "./sqlite-errors.ts";

const ownerOnly = 0o600;
const groupAndOthers = 0o077;
/** SQLite's companions of a database file; it gives them the permissions of the file itself. */
const suffixes = ["", "-wal", "-shm"] as const;

/** How to open a database file. */
export interface SqliteFileOptions {
  readonly create: boolean;
  readonly readOnly: boolean;
}

/**
 * A database file that only its owner can read and write; made so if it is missing and may be created.
 *
 * @returns where `node:sqlite` finds it.
 * @throws KeysteadError `STORE_NOT_FOUND`, `STORE_READ_ONLY`, `STORE_FULL`, `STORE_FAILED` when it is not a file, `INSECURE_FILE`
 */
export async function prepareSqliteFile(path: string, { create, readOnly }: SqliteFileOptions): Promise<string | URL> {
  try {
    if (create && !readOnly && !existsSync(path)) await createPrivateFile(path);
    accessSync(path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
    if (!readOnly) accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw mapSqliteError(error);
  }
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new KeysteadError("STORE_FAILED", "the store's path does not lead to a file: correct it");
  assertPrivate(path);
  return readOnly && isUnchangeable(path) ? immutableUrl(path) : path;
}

/**
 * A check that the path still leads to the file that it leads to now. A process that keeps writing to a file that was
 * replaced or removed would lose what it writes.
 */
export function watchSqliteFile(path: string): () => void {
  const opened = statSync(path, { bigint: true, throwIfNoEntry: false });
  return () => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (found !== undefined && found.ino === opened?.ino && found.dev === opened.dev) return;
    throw new KeysteadError("STORE_FAILED", "the store's file was moved or replaced while it was open: close it and open it again");
  };
}

async function createPrivateFile(path: string): Promise<void> {
  try {
    closeSync(openSync(path, "wx", ownerOnly));
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
  await syncDirectory(dirname(path));
}

function assertPrivate(path: string): void {
  if (process.platform === "win32") return;
  for (const suffix of suffixes) {
    const file = statSync(`${path}${suffix}`, { throwIfNoEntry: false });
    if (file === undefined || (file.mode & groupAndOthers) === 0) continue;
    const name = `${basename(path)}${suffix}`;
    throw new KeysteadError("INSECURE_FILE", `others than its owner may read or write the store's file ${name}: run chmod 600 on it`);
  }
}

/** True on a read-only disk, where SQLite could not make the files beside the database that it usually needs to read it. */
function isUnchangeable(path: string): boolean {
  if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return false;
  try {
    accessSync(dirname(path), constants.W_OK);
    return false;
  } catch {
    return true;
  }
}

function immutableUrl(path: string): URL {
  const url = pathToFileURL(path);
  url.searchParams.set("immutable", "1");
  return url;
}
