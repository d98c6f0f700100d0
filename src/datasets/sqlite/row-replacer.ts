import { KeysteadError } from "../../errors.ts";
import type { ReplaceOutcome, RowReplacement, SourceLayout } from "../source.ts";
import { type Affinity, mayConvert } from "./affinity.ts";
import { ReplacementStatements } from "./replacement-statements.ts";
import type { RowLocator } from "./row-locator.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { isSqliteError, primaryCode, resultCode, rowFailure } from "./sqlite-failure.ts";
import type { TableFacts } from "./table-facts.ts";

/** Replaces cells of rows that still hold what is expected. */
export class RowReplacer {
  readonly #statements: ReplacementStatements;
  /** Affinities of the columns that may be written. */
  readonly #affinities: ReadonlyMap<string, Affinity>;

  constructor(layout: SourceLayout, table: TableFacts, locator: RowLocator) {
    this.#statements = new ReplacementStatements(layout, locator);
    this.#affinities = new Map(table.columns.map(({ name, affinity }) => [name, affinity]));
  }

  /**
   * Replaces all in one transaction. What is reported as replaced was written exactly as `set` says; what is reported as an error
   * left no trace.
   * @throws the error of SQLite, with nothing replaced, when the failure is not one of a single row
   */
  replace(connection: SqliteConnection, rows: readonly RowReplacement[]): ReplaceOutcome[] {
    const failed = new Map<number, KeysteadError>();
    const outcomes = this.#attempt(connection, rows, failed, (row) => this.#replaceFast(connection, row));
    if (outcomes !== undefined) return outcomes;
    for (;;) {
      const careful = this.#attempt(connection, rows, failed, (row) => this.#replaceCarefully(connection, row));
      if (careful !== undefined) return careful;
    }
  }

  /** `undefined` when it has to be done again: `replaceRow` said so, or a row took the transaction down, and is in `failed` now. */
  #attempt(
    connection: SqliteConnection,
    rows: readonly RowReplacement[],
    failed: Map<number, KeysteadError>,
    replaceRow: (row: RowReplacement) => ReplaceOutcome | undefined,
  ): ReplaceOutcome[] | undefined {
    connection.begin("IMMEDIATE");
    try {
      const outcomes: ReplaceOutcome[] = [];
      for (const [index, row] of rows.entries()) {
        const error = failed.get(index);
        const outcome = error === undefined ? replaceRow(row) : { error };
        if (outcome === undefined) return undefined;
        outcomes.push(outcome);
        if (typeof outcome === "object" && !connection.inTransaction) {
          failed.set(index, outcome.error);
          return undefined;
        }
      }
      return this.#commit(connection, rows, outcomes);
    } finally {
      connection.rollback();
    }
  }

  /** What triggers did may be refused only here, by a deferred foreign key; then each row is tried alone. */
  #commit(connection: SqliteConnection, rows: readonly RowReplacement[], outcomes: ReplaceOutcome[]): ReplaceOutcome[] {
    try {
      connection.commit();
      return outcomes;
    } catch (error) {
      if (!isSqliteError(error) || primaryCode(error) !== resultCode.constraint) throw error;
      connection.rollback();
      const failure = rowFailure(error);
      if (rows.length === 1 && failure !== undefined) return [{ error: failure }];
      return rows.flatMap((row) => this.replace(connection, [row]));
    }
  }

  /** `undefined` when the row needs care, because the database refuses it: a trigger may have left half of its work behind. */
  #replaceFast(connection: SqliteConnection, row: RowReplacement): ReplaceOutcome | undefined {
    if (this.#mayConvert(row)) return this.#replaceCarefully(connection, row);
    try {
      return this.#update(connection, row);
    } catch (error) {
      if (isSqliteError(error) && rowFailure(error) !== undefined) return undefined;
      throw error;
    }
  }

  /** Takes everything back that a failing row did, and looks at what the columns made of the new cells. */
  #replaceCarefully(connection: SqliteConnection, row: RowReplacement): ReplaceOutcome {
    connection.execute("SAVEPOINT keystead_row");
    const outcome = this.#tryUpdate(connection, row);
    if (!connection.inTransaction) return outcome;
    if (typeof outcome === "object") connection.execute("ROLLBACK TO keystead_row");
    connection.execute("RELEASE keystead_row");
    return outcome;
  }

  #tryUpdate(connection: SqliteConnection, row: RowReplacement): ReplaceOutcome {
    try {
      const outcome = this.#update(connection, row);
      if (outcome !== "replaced" || !this.#mayConvert(row) || this.#holds(connection, { ...row, expected: row.set })) return outcome;
      const columns = Object.keys(row.set).join(", ");
      return {
        error: new KeysteadError("DATABASE_FAILED", `row can't be written: the type of ${columns} would turn the value into another`),
      };
    } catch (error) {
      const failure = isSqliteError(error) ? rowFailure(error) : undefined;
      if (failure === undefined) throw error;
      return { error: failure };
    }
  }

  #update(connection: SqliteConnection, row: RowReplacement): ReplaceOutcome {
    const { update, find, setParameters, matchParameters } = this.#statements.of(row);
    if (connection.change(update, [...setParameters, ...matchParameters]) > 0) return "replaced";
    if (connection.first(find, ...matchParameters) === undefined) return "changed";
    return {
      error: new KeysteadError("DATABASE_FAILED", "row can't be written: a trigger or an ON CONFLICT clause ignores the update: drop it"),
    };
  }

  /** True when the row is as expected. */
  #holds(connection: SqliteConnection, row: RowReplacement): boolean {
    const { find, matchParameters } = this.#statements.of(row);
    return connection.first(find, ...matchParameters) !== undefined;
  }

  #mayConvert(row: RowReplacement): boolean {
    for (const name of Object.keys(row.set)) {
      const affinity = this.#affinities.get(name);
      const cell = row.set[name];
      if (affinity !== undefined && cell !== undefined && mayConvert(affinity, cell)) return true;
    }
    return false;
  }
}
