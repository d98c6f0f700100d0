import type { SQLInputValue } from "node:sqlite";
import { checkReplacement } from "../layout.ts";
import type { Cell, RowReplacement, SourceLayout } from "../source.ts";
import { bindCell, identityCondition, parameterFor, pushIdentity } from "./cell.ts";
import { quoteIdentifier, quoteTable } from "./identifier.ts";
import type { RowLocator } from "./row-locator.ts";

/** The SQL of a replacement, with its parameters. */
export interface ReplacementStatement {
  /** Writes the row that is as expected; takes the parameters for setting, then those for matching. */
  readonly update: string;
  /** Finds the row that is as expected; takes the parameters for matching. */
  readonly find: string;
  readonly setParameters: readonly SQLInputValue[];
  readonly matchParameters: readonly SQLInputValue[];
}

/** Storage types by column. */
type ColumnTypes = readonly (readonly [name: string, type: Cell["type"]])[];

/** SQL for replacements of the same columns and storage types. */
interface ReplacementSql {
  readonly locator: readonly Cell["type"][];
  readonly expected: ColumnTypes;
  readonly set: ColumnTypes;
  readonly update: string;
  readonly find: string;
}

const maxShapes = 64;

/** Makes the SQL of compare-and-set. Comparing depends on storage types, so there is a statement for each combination of them. */
export class ReplacementStatements {
  readonly #table: string;
  readonly #locator: RowLocator;
  readonly #layout: SourceLayout;
  readonly #byShape = new Map<string, ReplacementSql>();
  #last: ReplacementSql | undefined;

  constructor(layout: SourceLayout, locator: RowLocator) {
    this.#table = quoteTable(layout.table);
    this.#locator = locator;
    this.#layout = layout;
  }

  /** @throws KeysteadError `INVALID_ARGUMENT` for columns that are not in the layout, or not to be written. */
  of(row: RowReplacement): ReplacementStatement {
    const { update, find } = this.#sqlOf(row);
    const setParameters = Object.values(row.set).map(bindCell);
    const matchParameters: SQLInputValue[] = [];
    this.#locator.pushMatch(matchParameters, row.locator);
    for (const cell of Object.values(row.expected)) pushIdentity(matchParameters, cell);
    return { update, find, setParameters, matchParameters };
  }

  #sqlOf(row: RowReplacement): ReplacementSql {
    // Most rows are like the one before.
    if (this.#last !== undefined && fits(this.#last, row)) return this.#last;
    const shape = JSON.stringify([typesOf(row.expected), typesOf(row.set), row.locator.map(({ type }) => type)]);
    const sql = this.#byShape.get(shape) ?? this.#remember(shape, this.#compose(row));
    this.#last = sql;
    return sql;
  }

  #remember(shape: string, sql: ReplacementSql): ReplacementSql {
    const [oldest] = this.#byShape.keys();
    if (oldest !== undefined && this.#byShape.size >= maxShapes) this.#byShape.delete(oldest);
    this.#byShape.set(shape, sql);
    return sql;
  }

  #compose(row: RowReplacement): ReplacementSql {
    checkReplacement(this.#layout, row);
    const { locator, expected, set } = row;
    const assignments = Object.entries(set).map(([name, { type }]) => `${quoteIdentifier(name)} = ${parameterFor(type)}`);
    const identities = Object.entries(expected).map(([name, { type }]) => identityCondition(quoteIdentifier(name), type));
    const types = locator.map(({ type }) => type);
    const condition = [this.#locator.match(types), ...identities].join(" AND ");
    return {
      locator: types,
      expected: typesOf(expected),
      set: typesOf(set),
      update: `UPDATE ${this.#table} SET ${assignments.join(", ")} WHERE ${condition}`,
      find: `SELECT 1 FROM ${this.#table} WHERE ${condition}`,
    };
  }
}

function typesOf(cells: Readonly<Record<string, Cell>>): ColumnTypes {
  return Object.entries(cells).map(([name, { type }]) => [name, type]);
}

function fits(sql: ReplacementSql, { locator, expected, set }: RowReplacement): boolean {
  const sameLocator = sql.locator.length === locator.length && locator.every(({ type }, index) => type === sql.locator[index]);
  return sameLocator && haveTypes(expected, sql.expected) && haveTypes(set, sql.set);
}

/** True for these columns, in this order, with these types. */
function haveTypes(cells: Readonly<Record<string, Cell>>, types: ColumnTypes): boolean {
  const names = Object.keys(cells);
  return names.length === types.length && types.every(([name, type], index) => names[index] === name && cells[name]?.type === type);
}
