import { KeysteadError } from "../../errors.ts";
import { encodeCursor } from "../cursor.ts";
import { checkReplacement } from "../layout.ts";
import { cellSize } from "../source-limits.ts";
import type { Cell, ReplaceOutcome, RowReplacement, SourceLayout } from "../source.ts";
import { columnNamed } from "./check-layout.ts";
import { kindOf, transportOf } from "./column-kind.ts";
import type { Session } from "./postgres-connection.ts";
import { isLockTimeout, rowFailure } from "./postgres-failure.ts";
import { composeReplacement, type ReplacementStatement } from "./replacement-statement.ts";
import type { RowLocator } from "./row-locator.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** A replacement and its place in the answer. */
interface Numbered {
  readonly place: number;
  readonly row: RowReplacement;
}

/** Cells of one statement, in bytes. A larger row goes alone. */
const maxStatementBytes = 2 ** 20;

/** Replaces cells of rows that still hold what is expected. */
export class RowReplacer {
  readonly #layout: SourceLayout;
  readonly #name: TableName;
  readonly #table: TableFacts;
  readonly #locator: RowLocator;

  constructor(layout: SourceLayout, name: TableName, table: TableFacts, locator: RowLocator) {
    this.#layout = layout;
    this.#name = name;
    this.#table = table;
    this.#locator = locator;
  }

  /**
   * Replaces all inside a transaction. What is reported as replaced was written exactly as `set` says; what is reported as an error
   * left no trace.
   * @throws the error of `pg` when the failure is not one of a single row
   */
  async replace(session: Session, rows: readonly RowReplacement[]): Promise<ReplaceOutcome[]> {
    const unfit = rows.map((row) => this.#unfit(row));
    const outcomes = unfit.map((outcome): ReplaceOutcome => outcome ?? "changed");
    const open = rows.flatMap((row, place) => (unfit[place] === undefined ? { place, row } : []));
    for (const batch of batches(open)) await this.#apply(session, batch, outcomes);
    return outcomes;
  }

  /** What becomes of a row whose cells its columns can't hold. */
  #unfit(row: RowReplacement): ReplaceOutcome | undefined {
    checkReplacement(this.#layout, row);
    const { columns } = this.#locator;
    if (row.locator.length !== columns.length) {
      throw new KeysteadError("INVALID_ARGUMENT", "row locator does not belong to this table as it is now: read the row again");
    }
    const isLocated = columns.every((column, place) => {
      const cell = row.locator[place];
      return cell !== undefined && transportOf(column, cell) !== undefined;
    });
    if (!isLocated || this.#unheld(row.expected) !== undefined) return "changed";
    const column = this.#unheld(row.set);
    if (column === undefined) return undefined;
    return {
      error: new KeysteadError(
        "DATABASE_FAILED",
        `row can't be written: column "${column}" is ${columnNamed(this.#table, column).declaredType}, which does not hold such a value`,
      ),
    };
  }

  /** A column that can't hold its cell. */
  #unheld(cells: Readonly<Record<string, Cell>>): string | undefined {
    return Object.entries(cells).find(
      ([name, cell]) => cell.type !== "null" && kindOf(columnNamed(this.#table, name)).identityOf(cell) === undefined,
    )?.[0];
  }

  /**
   * In halves again and again where one of the rows is refused, so that the others are not. Where the application keeps some locked for
   * longer than is waited for, they count as changed: the next pass takes them up.
   */
  async #apply(session: Session, batch: readonly Numbered[], outcomes: ReplaceOutcome[], areLocked = false): Promise<void> {
    await session.execute("savepoint keystead_rows");
    const failure = await this.#update(session, batch, outcomes).catch((error: unknown) => {
      if (!areLocked && isLockTimeout(error)) return "locked" as const;
      throw error;
    });
    if (failure === undefined) {
      await session.execute("release savepoint keystead_rows");
      return;
    }
    await session.execute("rollback to savepoint keystead_rows; release savepoint keystead_rows");
    if (failure === "locked") {
      const free = await this.#lockFree(session, batch);
      if (free.length > 0) await this.#apply(session, free, outcomes, true);
      return;
    }
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      outcomes[only.place] = { error: failure };
      return;
    }
    const middle = Math.ceil(batch.length / 2);
    await this.#apply(session, batch.slice(0, middle), outcomes, areLocked);
    await this.#apply(session, batch.slice(middle), outcomes, areLocked);
  }

  /** Locks the rows that are as expected and that nobody else has locked, without waiting. */
  async #lockFree(session: Session, batch: readonly Numbered[]): Promise<Numbered[]> {
    const { lockExpected, parameters } = this.#compose(batch);
    const free = new Set((await session.rows(lockExpected, parameters)).map(([number]) => Number(number)));
    return batch.filter((_, index) => free.has(index + 1));
  }

  #compose(batch: readonly Numbered[]): ReplacementStatement {
    const rows = batch.map(({ row }) => row);
    return composeReplacement(quoteTable(this.#name), this.#table, this.#locator, rows);
  }

  /** What is wrong with one of the rows, of which then nothing may stay. */
  async #update(session: Session, batch: readonly Numbered[], outcomes: ReplaceOutcome[]): Promise<KeysteadError | undefined> {
    const statement = this.#compose(batch);
    try {
      const answers = await session.rows(statement.update, statement.parameters);
      if (answers.some(([, , loses]) => loses === "t")) return losingRow();
      if (answers.some(([, holds]) => holds !== "t")) return alteredRow();
      const written = new Set(answers.map(([number]) => Number(number)));
      if (this.#table.triggers.length > 0) {
        const altered = await this.#isAltered(session, statement, written);
        if (altered) return alteredRow();
      }
      const ignored = this.#table.triggers.length > 0 ? await this.#findIgnored(session, statement, written) : new Set();
      for (const [index, { place }] of batch.entries()) {
        outcomes[place] = written.has(index + 1) ? "replaced" : ignored.has(index + 1) ? { error: ignoredRow() } : "changed";
      }
      return undefined;
    } catch (error) {
      const failure = rowFailure(error);
      if (failure === undefined) throw error;
      return failure;
    }
  }

  /** A trigger may also write a row after it was written. */
  async #isAltered(session: Session, statement: ReplacementStatement, written: ReadonlySet<number>): Promise<boolean> {
    const holding = new Set((await session.rows(statement.findSet, statement.parameters)).map(([number]) => Number(number)));
    return [...written].some((number) => !holding.has(number));
  }

  /** A trigger may leave out a row that is as expected. */
  async #findIgnored(session: Session, statement: ReplacementStatement, written: ReadonlySet<number>): Promise<ReadonlySet<number>> {
    const found = await session.rows(statement.findExpected, statement.parameters);
    return new Set(found.map(([number]) => Number(number)).filter((number) => !written.has(number)));
  }
}

/** Replacements that one statement makes: of the same columns, of different rows, and not too large. Same rows keep their order. */
function batches(rows: readonly Numbered[]): Numbered[][] {
  const finished: Numbered[][] = [];
  let open = new Map<string, { readonly rows: Numbered[]; bytes: number }>();
  let located = new Set<string>();
  const finish = (): void => {
    finished.push(...[...open.values()].map((batch) => batch.rows));
    open = new Map();
    located = new Set();
  };
  for (const numbered of rows) {
    const { expected, set, locator } = numbered.row;
    const place = encodeCursor(locator);
    if (located.has(place)) finish();
    located.add(place);
    const shape = JSON.stringify([Object.keys(expected), Object.keys(set)]);
    const bytes = [...Object.values(expected), ...Object.values(set)].reduce((sum, cell) => sum + cellSize(cell), 0);
    const batch = open.get(shape);
    if (batch !== undefined && batch.bytes + bytes <= maxStatementBytes) {
      batch.rows.push(numbered);
      batch.bytes += bytes;
      continue;
    }
    if (batch !== undefined) finished.push(batch.rows);
    open.set(shape, { rows: [numbered], bytes });
  }
  finish();
  return finished;
}

function alteredRow(): KeysteadError {
  return new KeysteadError(
    "DATABASE_FAILED",
    "row can't be written: a trigger or the column's type would store something else: let the trigger leave ciphertext alone",
  );
}

function losingRow(): KeysteadError {
  return new KeysteadError(
    "DATABASE_FAILED",
    "row can't be written: an object in its document of type json has a key twice, and one would be lost: repair it, or ALTER TABLE … ALTER COLUMN … TYPE jsonb",
  );
}

function ignoredRow(): KeysteadError {
  return new KeysteadError("DATABASE_FAILED", "row can't be written: a trigger ignores the update: drop it");
}
