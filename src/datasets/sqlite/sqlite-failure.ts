import { KeysteadError } from "../../errors.ts";

/** What node:sqlite throws for a failure of SQLite. */
export interface SqliteError extends Error {
  /** Extended result code (https://www.sqlite.org/rescode.html). */
  readonly errcode: number;
  /** General text for the code: never has a value of the database. */
  readonly errstr: string;
}

/** True for an error with a result code of SQLite. */
export function isSqliteError(error: unknown): error is SqliteError {
  return (
    error instanceof Error &&
    "errcode" in error &&
    typeof error.errcode === "number" &&
    "errstr" in error &&
    typeof error.errstr === "string"
  );
}

/** The primary result codes that something here depends on. */
export const resultCode = { error: 1, busy: 5, locked: 6, tooBig: 18, constraint: 19, mismatch: 20 } as const;

const constraintTrigger = 1811;

/** The primary result code: the low byte of the extended one. */
export function primaryCode(error: SqliteError): number {
  return error.errcode & 0xff;
}

/** True when waiting may help: another connection holds a lock. */
export function isBusy(error: unknown): error is SqliteError {
  return isSqliteError(error) && (primaryCode(error) === resultCode.busy || primaryCode(error) === resultCode.locked);
}

const remedies: Readonly<Record<number, string>> = {
  3: "access is denied: give this process permission to read and write the file and its folder",
  8: "it is read-only: give this process permission to write the file and its folder",
  10: "reading or writing failed: check the disk",
  11: "it is damaged: run PRAGMA integrity_check, and restore it from a backup",
  13: "the disk is full: free some space and run again",
  14: "it can't be opened: check the path, and the permissions of the file and its folder",
  18: "a value is larger than this process can hold (512 MiB)",
  26: "it is not an SQLite database, or it is encrypted as a whole",
};

/** `DATABASE_FAILED` for a failure of the database as a whole. `what` names it. */
export function databaseFailure(what: string, error: SqliteError): KeysteadError {
  const problem = remedies[primaryCode(error)] ?? safeMessage(error) ?? error.errstr;
  return new KeysteadError("DATABASE_FAILED", `${what}: ${problem}`, safeCause(error));
}

/** `DATABASE_FAILED` when another connection kept its lock for longer than one is willing to wait. */
export function busyFailure(what: string, milliseconds: number, error: SqliteError): KeysteadError {
  const message = `${what}: another connection kept it locked for ${milliseconds / 1000} s: end its transaction, then run again`;
  return new KeysteadError("DATABASE_FAILED", message, { cause: error });
}

/** Why a single row could not be written, when the failure is about that row only; otherwise `undefined`. */
export function rowFailure(error: SqliteError): KeysteadError | undefined {
  if (!rowCodes.has(primaryCode(error))) return undefined;
  const problem = error.errcode === constraintTrigger ? "a trigger of the table refuses it" : (safeMessage(error) ?? error.errstr);
  return new KeysteadError("DATABASE_FAILED", `row can't be written: ${problem}`, safeCause(error));
}

const rowCodes: ReadonlySet<number> = new Set([resultCode.error, resultCode.tooBig, resultCode.constraint, resultCode.mismatch]);

/**
 * Texts of SQLite that name parts of the schema and nothing else. Others are kept back, because triggers and functions write
 * what they like into them, values of the row included.
 */
const safeMessages: readonly RegExp[] = [
  /^(?:CHECK|NOT NULL|UNIQUE|FOREIGN KEY) constraint failed\b/,
  /^cannot store \w+ value in \w+ column /,
  /^no such (?:table|column|function|collation sequence|index|module|tokenizer): /,
  /^malformed JSON$/,
  /^(?:string or blob too big|datatype mismatch|database is locked|attempt to write a readonly database)$/,
];

function safeMessage(error: SqliteError): string | undefined {
  const safe = error.errcode !== constraintTrigger && safeMessages.some((pattern) => pattern.test(error.message));
  return safe ? error.message : undefined;
}

function safeCause(error: SqliteError): { readonly cause?: unknown } {
  return safeMessage(error) !== undefined || error.message === error.errstr ? { cause: error } : {};
}
