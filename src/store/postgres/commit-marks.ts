import { quoteIdentifier, quoteLiteral } from "../../postgres/identifier.ts";

/** The table that says which transaction each process committed last. */
export const writersTable = "keystead_writers";

/**
 * What makes it known whether a transaction was committed whose connection was lost meanwhile. Each writer has a row of its own and
 * leaves the id of its transaction there, in that transaction. Nothing else tells: two processes that write the same make the same
 * manifest, and the database's own transaction numbers are given out again after a crash or a promotion.
 *
 * A writer's transactions come one after the other, so the last one is enough.
 */
export class CommitMarks {
  readonly #table: string;
  #writer: string | undefined;

  constructor(schema: string) {
    this.#table = `${quoteIdentifier(schema)}.${writersTable}`;
  }

  /** SQL that makes the table. */
  get creation(): string {
    return `create table if not exists ${this.#table} (writer uuid not null primary key, last uuid not null, at timestamptz not null)`;
  }

  /** SQL that marks a transaction which wrote something, right before it commits. Rows of writers long gone are removed. */
  mark(transaction: string): string {
    const tidy = this.#writer === undefined ? `delete from ${this.#table} where at < now() - interval '1 day'; ` : "";
    const writer = (this.#writer ??= transaction);
    const wrote = "pg_current_xact_id_if_assigned() is not null";
    const row = `select ${quoteLiteral(writer)}::uuid, ${quoteLiteral(transaction)}::uuid, now() where ${wrote}`;
    return `insert into ${this.#table} ${row} on conflict (writer) do update set last = excluded.last, at = excluded.at; ${tidy}`;
  }

  /** SQL that asks whether the table is there: a store that is not made yet has none. */
  get placeQuestion(): string {
    return `select to_regclass(${quoteLiteral(this.#table)}) is not null as "isThere"`;
  }

  /** SQL that asks whether a transaction was committed. */
  question(transaction: string): string {
    return `select exists (select from ${this.#table} where last = ${quoteLiteral(transaction)}::uuid) as committed`;
  }
}
