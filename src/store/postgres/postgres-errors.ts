import { KeysteadError, type ErrorCode } from "../../errors.ts";
import { bareError } from "../../postgres/bare-error.ts";
import { connectionProblem } from "../../postgres/connection-problem.ts";
import { isConnectionLost, sqlState } from "../../postgres/sql-state.ts";

type Mapping = readonly [code: ErrorCode, message: string];

const denied: Mapping = [
  "STORE_FAILED",
  "the database denies access: run CREATE SCHEMA … AUTHORIZATION the store's user, or give him the schema that is there",
];
const lost: Mapping = [
  "STORE_FAILED",
  "the database can't be reached: check that it runs and that the store's URL leads to it, then try again",
];
const busy: Mapping = ["STORE_BUSY", "another process holds the store's lock: try again when it is done"];
const full: Mapping = ["STORE_FULL", "the database has no space left: free some on its disk, then try again"];
const readOnly: Mapping = ["STORE_READ_ONLY", "the database takes no writes: let the store's URL lead to the primary, not to a standby"];
const taken: Mapping = ["NAME_TAKEN", "a row with the same unique columns exists already: choose others"];
const refused: Mapping = ["INVALID_ARGUMENT", "a column was given what its table does not allow: correct the record"];
const repeatable: Mapping = ["STORE_BUSY", "the database gave the transaction up for another one: try again"];
const unexpected: Mapping = ["STORE_FAILED", "the database refused a statement: check that its tables are whole (keystead doctor)"];

/** By SQLSTATE; the longest beginning that is in the table counts. */
const states: ReadonlyMap<string, Mapping> = new Map<string, Mapping>([
  ["23505", taken],
  ["23", refused],
  ["22", refused],
  ["25006", readOnly],
  ["28", ["STORE_FAILED", "the database takes user or password for wrong: correct them (passfile)"]],
  ["3D000", ["STORE_NOT_FOUND", "there is no database of this name: create it first, or correct the store's URL"]],
  ["3F000", ["STORE_NOT_FOUND", "no store was created here yet: create one first (keystead init), or correct the store's URL"]],
  ["42P01", ["STORE_FAILED", "a table of the store is gone: restore the store from a backup"]],
  ["42501", denied],
  ["40", repeatable],
  ["53100", full],
  ["53200", ["STORE_FAILED", "the database ran out of memory: give it more"]],
  ["53300", ["STORE_BUSY", "the database has no connection left: raise max_connections, or let fewer processes use it"]],
  ["55P03", busy],
  ["57014", ["STORE_BUSY", "the database did not answer in time: try again when it has less to do"]],
  ["58", ["STORE_FAILED", "reading or writing the database's files failed: check its disk"]],
  ["XX001", ["STORE_FAILED", "the database is damaged: restore it from a backup"]],
  ["XX002", ["STORE_FAILED", "an index of the database is damaged: run REINDEX on the store's schema"]],
]);

/** What `pg` threw, as a KeysteadError with it as cause. KeysteadErrors stay as they are. */
export function mapPostgresError(error: unknown): KeysteadError {
  if (error instanceof KeysteadError) return error;
  const problem = connectionProblem(error);
  if (problem !== undefined)
    return new KeysteadError("STORE_FAILED", `no connection to the database, because ${problem}`, { cause: bareError(error) });
  const state = sqlState(error) ?? "";
  const mapping = states.get(state) ?? states.get(state.slice(0, 2)) ?? (isConnectionLost(error) ? lost : unexpected);
  const [code, message] = mapping;
  return new KeysteadError(code, message, { cause: bareError(error) });
}

/** True when a transaction changed nothing and may be begun again: it was given up for another one, or its connection was lost. */
export function isRepeatable(error: unknown): boolean {
  if (!(error instanceof KeysteadError) || (error.code !== "STORE_BUSY" && error.code !== "STORE_FAILED")) return false;
  const state = sqlState(error.cause);
  return state === "40001" || state === "40P01" || isConnectionLost(error.cause);
}
