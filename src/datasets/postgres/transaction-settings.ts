import { quoteIdentifier, quoteLiteral } from "../../postgres/identifier.ts";
import type { TableName } from "./table-name.ts";
import { tableVersion } from "./table-version.ts";

/** What a transaction does: read a page, replace rows, or count the whole table. */
export type TransactionMode = "read" | "write" | "count";

/** Milliseconds. */
export interface Timeouts {
  /** How long a write waits for rows that the application has locked. */
  readonly lock: number;
  /** How long a statement may take; counting the whole table may take longer. */
  readonly statement: number;
}

const isolation: Readonly<Record<TransactionMode, string>> = {
  read: "isolation level repeatable read read only",
  // A row that waited for another transaction is compared again as that one left it.
  write: "isolation level read committed read write",
  count: "isolation level repeatable read read only",
};

/**
 * SQL that begins a transaction on a table. Everything is set for this transaction alone, because a pooler may give each another
 * session: how values are written as text, and that row-level security fails instead of hiding rows. Triggers find unqualified
 * names in the table's schema and in `public`.
 *
 * Its last statement gives one row: whether the server is a standby, the number of the session's process, and the table's version.
 */
export function beginTransaction(mode: TransactionMode, name: TableName, { lock, statement }: Timeouts): string {
  const path = [...new Set([name.schema, "public"])].map(quoteIdentifier).join(", ");
  const settings = {
    search_path: `${path}, pg_temp`,
    row_security: "off",
    lock_timeout: String(lock),
    statement_timeout: mode === "count" ? "0" : String(statement),
    idle_in_transaction_session_timeout: String(statement),
    DateStyle: "ISO, YMD",
    IntervalStyle: "postgres",
    TimeZone: "UTC",
    extra_float_digits: "1",
    lc_monetary: "C",
    standard_conforming_strings: "on",
  };
  const calls = Object.entries(settings).map(([setting, value]) => `set_config('${setting}', ${quoteLiteral(value)}, true)`);
  // Stronger, if the database's owner chose so.
  calls.push("case when current_setting('synchronous_commit') <> 'remote_apply' then set_config('synchronous_commit', 'on', true) end");
  // Known from PostgreSQL 17 on.
  if (mode === "count")
    calls.push("case when current_setting('transaction_timeout', true) <> '0' then set_config('transaction_timeout', '0', true) end");
  // So that a refusal is that of a row, and not of everything at the end.
  const constraints = mode === "write" ? "set constraints all immediate; " : "";
  const version = tableVersion(quoteLiteral(name.schema), quoteLiteral(name.table));
  return `begin ${isolation[mode]}; select ${calls.join(", ")}; ${constraints}select pg_is_in_recovery(), pg_backend_pid(), (${version})`;
}
