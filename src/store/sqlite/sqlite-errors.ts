import { KeysteadError, type ErrorCode } from "../../errors.ts";

/** A result code of SQLite, as `node:sqlite` reports it in `errcode`. https://sqlite.org/rescode.html */
export const sqliteBusy = 5;

type Mapping = readonly [code: ErrorCode, message: string];

const busy: Mapping = ["STORE_BUSY", "another process holds the store's lock: try again when it is done"];
const full: Mapping = ["STORE_FULL", "there is no space left for the store: free some on its disk, then try again"];
const readOnly: Mapping = [
  "STORE_READ_ONLY",
  "the store can't be written to: make its file and folder writable for this user, or move it to a disk that is",
];
const taken: Mapping = ["NAME_TAKEN", "a row with the same unique columns exists already: choose others"];
const damaged: Mapping = ["STORE_FAILED", "the store's file is damaged: restore it from a backup"];
const refused: Mapping = ["INVALID_ARGUMENT", "a column was given what its table does not allow: correct the record"];

/** Extended result codes that mean something else than their primary code. */
const extendedCodes: ReadonlyMap<number, Mapping> = new Map([
  [1032, ["STORE_FAILED", "the store's file was moved or replaced while it was open: close it and open it again"]],
  [1555, taken],
  [2067, taken],
  [2579, taken],
  [4874, full],
]);

const primaryCodes: ReadonlyMap<number, Mapping> = new Map<number, Mapping>([
  [3, ["STORE_FAILED", "access to the store's file was denied: give its owner the right to read and write it"]],
  [sqliteBusy, busy],
  [6, busy],
  [7, ["STORE_FAILED", "the database ran out of memory: give the process more"]],
  [8, readOnly],
  [10, ["STORE_FAILED", "reading or writing the store's file failed: check its disk, then open it again"]],
  [11, damaged],
  [13, full],
  [14, ["STORE_FAILED", "the store's file can't be opened: check its path, its kind and its permissions"]],
  [19, refused],
  [26, ["STORE_FAILED", "the store's file is not an SQLite database: correct the path, or restore the file from a backup"]],
]);

const unexpected: Mapping = ["STORE_FAILED", "the database refused a statement: check that its tables are whole (keystead doctor)"];

/** File errors of the operating system. */
const systemCodes: ReadonlyMap<string, Mapping> = new Map<string, Mapping>([
  ["ENOENT", ["STORE_NOT_FOUND", "there is no store here: create one first (keystead init), or correct the path"]],
  ["ENOTDIR", ["STORE_NOT_FOUND", "a part of the store's path is not a folder: correct the path"]],
  ["EROFS", readOnly],
  ["EACCES", readOnly],
  ["EPERM", readOnly],
  ["ENOSPC", full],
  ["EDQUOT", full],
]);

/** What `node:sqlite` or the file system threw, as a KeysteadError with it as cause. KeysteadErrors stay as they are. */
export function mapSqliteError(error: unknown): KeysteadError {
  if (error instanceof KeysteadError) return error;
  const resultCode = sqliteResultCode(error);
  const mapping =
    resultCode === undefined ? systemCodes.get(errorCode(error)) : (extendedCodes.get(resultCode) ?? primaryCodes.get(resultCode & 0xff));
  const [code, message] = mapping ?? unexpected;
  return new KeysteadError(code, message, { cause: error });
}

/** True for an error that says that another connection holds a lock. */
export function isBusy(error: unknown): boolean {
  const code = sqliteResultCode(error);
  return code !== undefined && (code & 0xff) === sqliteBusy;
}

function sqliteResultCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
