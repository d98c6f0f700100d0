import { KeysteadError, type ErrorCode } from "../../errors.ts";
import { bareError } from "../../postgres/bare-error.ts";
import { connectionProblem } from "../../postgres/connection-problem.ts";
import { isConnectionLost, sqlState } from "../../postgres/sql-state.ts";

type Mapping = readonly [code: ErrorCode, problem: string];

const failed = "DATABASE_FAILED";
const lost: Mapping = [failed, "it can't be reached: check that it runs and that the URL leads to it, then run again"];
const denied: Mapping = [
  failed,
  "it denies access: check user and password, and GRANT USAGE on the schema and SELECT, UPDATE on the table",
];
const other: Mapping = [failed, "it refused a statement: see the code in the cause"];
const changed: Mapping = [failed, "the table was changed meanwhile: run again"];

/** By SQLSTATE; the longest beginning that is in the table counts. */
const states: ReadonlyMap<string, Mapping> = new Map<string, Mapping>([
  ["25006", [failed, "it takes no writes: let the URL lead to the primary"]],
  ["28", denied],
  ["42501", denied],
  ["3D000", [failed, "there is no database of this name: correct the URL"]],
  ["3F000", changed],
  ["42P01", changed],
  ["42703", changed],
  ["42883", changed],
  ["40", [failed, "it gave the transaction up for another one, again and again: run again when the application writes less"]],
  ["53100", [failed, "the disk is full: free some space and run again"]],
  ["53200", [failed, "it ran out of memory: give it more, then run again"]],
  ["53300", [failed, "it has no connection left: raise max_connections, or let fewer processes use it"]],
  ["55P03", [failed, "another session kept the table locked for longer than lock_timeout: end its transaction, then run again"]],
  [
    "57014",
    [
      failed,
      "a statement took longer than statement_timeout: run again when the database has less to do, or with so low a rate that pages are smaller, or give the URL a larger one",
    ],
  ],
  ["58", [failed, "reading or writing its files failed: check its disk"]],
  ["XX001", [failed, "it is damaged: restore it from a backup"]],
  ["XX002", [failed, "an index is damaged: run REINDEX on the table"]],
]);

/** What `pg` threw, as a KeysteadError without any value of a row. `what` names the database. KeysteadErrors stay as they are. */
export function databaseFailure(what: string, error: unknown): KeysteadError {
  if (error instanceof KeysteadError) return error;
  if (isHidingRows(error)) {
    return new KeysteadError(
      "DATASET_UNSUITABLE",
      `${what}: row-level security would hide rows from the URL's user: ALTER ROLE that user BYPASSRLS, or let the table's owner be the user`,
      { cause: bareError(error) },
    );
  }
  const connection = connectionProblem(error);
  if (connection !== undefined)
    return new KeysteadError(failed, `${what}: no connection, because ${connection}`, { cause: bareError(error) });
  const state = sqlState(error) ?? "";
  const [code, problem] = states.get(state) ?? states.get(state.slice(0, 2)) ?? (isConnectionLost(error) ? lost : other);
  return new KeysteadError(code, `${what}: ${problem}`, { cause: bareError(error) });
}

/** True when the whole transaction may be done again: the database gave it up for another one. */
export function isRepeatable(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/** True when the database stopped the statement because it was asked to, or because it took too long. */
export function isCancelled(error: unknown): boolean {
  return sqlState(error) === "57014";
}

/** True when somebody else kept a lock for longer than is waited for. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === "55P03";
}

/** True when a parameter is no value of its type. */
export function isMalformedValue(error: unknown): boolean {
  return sqlState(error)?.startsWith("22") === true;
}

/** Why a single row could not be written, when the failure is about that row only; otherwise `undefined`. */
export function rowFailure(error: unknown): KeysteadError | undefined {
  const state = sqlState(error);
  if (state === undefined || isHidingRows(error)) return undefined;
  const isOfRow = rowClasses.has(state.slice(0, 2)) || (functionClasses.has(state.slice(0, 2)) && text(error, "where") !== undefined);
  if (!isOfRow) return undefined;
  const problem = rowProblems.get(state) ?? rowProblems.get(state.slice(0, 2)) ?? "the database refuses it";
  const name = text(error, "constraint");
  return new KeysteadError(failed, `row can't be written: ${problem}${name === undefined ? "" : ` ("${name}")`}`, {
    cause: bareError(error),
  });
}

/** Data, cardinality, constraints, triggers' own, external routines, WITH CHECK OPTION, limits, PL/pgSQL. */
const rowClasses: ReadonlySet<string> = new Set(["09", "21", "22", "23", "27", "38", "39", "44", "54", "P0"]);

/** Of a row only when they come out of a function, that of a trigger. */
const functionClasses: ReadonlySet<string> = new Set(["0A", "2F", "42"]);

const rowProblems: ReadonlyMap<string, string> = new Map([
  ["22001", "it is longer than the column takes: ALTER TABLE … ALTER COLUMN … TYPE text"],
  ["22P05", "its document has an escape that stands for no character (\\u0000): repair the document"],
  ["23502", "a NOT NULL constraint refuses it"],
  ["23503", "a foreign key refuses it"],
  ["23505", "a unique key refuses it"],
  ["23514", "a CHECK constraint refuses it"],
  ["23P01", "an exclusion constraint refuses it"],
  ["54", "it is too large for an index of the table: drop that index"],
  ["P0", "a trigger of the table refuses it"],
  ["42", "a trigger of the table fails: let its function name schemas, or SET search_path"],
]);

function isHidingRows(error: unknown): boolean {
  return sqlState(error) === "42501" && text(error, "routine") === "check_enable_rls";
}

function text(error: unknown, name: "constraint" | "routine" | "where"): string | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined;
  return typeof value === "string" ? value : undefined;
}
