import type { SQLInputValue } from "node:sqlite";
import { KeysteadError } from "../../errors.ts";
import type { Cell, SourceLayout } from "../source.ts";
import { bindCell, parameterFor, directCell, exactCell, exactColumns, identityCondition, pushIdentity } from "./cell.ts";
import { findRowidName } from "./check-layout.ts";
import { quoteIdentifier } from "./identifier.ts";
import type { ResultRow } from "./sqlite-connection.ts";
import type { TableFacts } from "./table-facts.ts";

/** One thing that rows are ordered by: the rowid, or a column of the primary key of a WITHOUT ROWID table. */
interface OrderTerm {
  /** SQL of its value. */
  readonly value: string;
  /** SQL of its value under the collation of the index. */
  readonly ordered: string;
  readonly descending: boolean;
}

/** Rows in key order: a condition with its parameters. */
export interface RowRange {
  readonly where: string;
  readonly parameters: readonly SQLInputValue[];
}

/**
 * How the rows of a table are found and put in order: by rowid, or by primary key where there is no rowid. The rowid never is
 * null and tells all rows apart, which a declared key in SQLite need not do. A row's locator is the values of the order
 * terms, then those of further key columns: VACUUM may give a rowid to another row.
 */
export class RowLocator {
  readonly #terms: readonly OrderTerm[];
  /** SQL of the values that make a locator. */
  readonly values: readonly string[];
  /** True when equal terms are identical terms, as rowids are. */
  readonly #exact: boolean;

  constructor(layout: SourceLayout, table: TableFacts) {
    const rowid = table.withoutRowid ? undefined : findRowidName(table);
    this.#exact = rowid !== undefined;
    this.#terms = rowid === undefined ? primaryKeyTerms(table) : [rowidTerm(rowid, table)];
    const terms = new Set(this.#terms.map(({ value }) => value));
    this.values = [...terms, ...layout.keyColumns.map(quoteIdentifier).filter((column) => !terms.has(column))];
  }

  /** How many of {@link values} make a cursor: those that order rows. */
  get orderLength(): number {
    return this.#terms.length;
  }

  /** SQL of results that {@link readPlace} reads. */
  get place(): string {
    return this.#terms.map(({ value }) => (this.#exact ? value : exactColumns(value))).join(", ");
  }

  /** The cells of a cursor, from results of {@link place}. */
  readPlace(results: ResultRow): Cell[] {
    if (this.#exact) return results.map(directCell);
    return this.#terms.map((_, index) => exactCell(results[index * 2] ?? null, results[index * 2 + 1] ?? null));
  }

  /** SQL for ORDER BY. */
  get order(): string {
    return this.#orderBy("");
  }

  /** SQL for ORDER BY that no index answers. */
  get sortedOrder(): string {
    return this.#orderBy("+");
  }

  /**
   * The rows after the one with these order values, or all, as ranges that follow each other: first those that differ from it in
   * the last term only. SQLite seeks the beginning of each in its index, which it would not do for a comparison of row values
   * under the collation of the index.
   */
  rangesAfter(cells: readonly Cell[] | undefined): RowRange[] {
    if (cells === undefined) return [{ where: "TRUE", parameters: [] }];
    return this.#terms.map((_, index) => this.#rangeAfter(cells.slice(0, index + 1))).reverse();
  }

  /** SQL that is true for rows after the one with these order values. */
  beyond(cells: readonly Cell[]): RowRange {
    const ranges = this.rangesAfter(cells);
    return { where: ranges.map(({ where }) => `(${where})`).join(" OR "), parameters: ranges.flatMap(({ parameters }) => parameters) };
  }

  /** SQL that is true for the row that has this locator, whose cells have these types. */
  match(types: readonly Cell["type"][]): string {
    if (types.length !== this.values.length) {
      throw new KeysteadError("INVALID_ARGUMENT", "row locator does not belong to this table as it is now: read the row again");
    }
    const conditions = types.flatMap((type, index) => {
      const term = this.#terms[index];
      const identity = identityCondition(this.values[index] ?? "", type);
      if (term === undefined) return identity;
      const seek = `${term.ordered} = ${parameterFor(type)}`;
      return this.#exact ? seek : [seek, identity];
    });
    return conditions.join(" AND ");
  }

  /** Adds the parameters of {@link match}. */
  pushMatch(parameters: SQLInputValue[], cells: readonly Cell[]): void {
    for (const [index, cell] of cells.entries()) {
      const isTerm = index < this.#terms.length;
      if (isTerm) parameters.push(bindCell(cell));
      if (!isTerm || !this.#exact) pushIdentity(parameters, cell);
    }
  }

  /**
   * SQL of the rows of a table that fit one of these conditions, each of which an index answers: SQLite would rather read the whole
   * table than look up both sides of an OR. Rows whose keys are alike under a collation may be among them, so the conditions are said again.
   */
  union(table: string, conditions: readonly string[]): string {
    const keys = this.#terms.map(({ value }) => value).join(", ");
    const queries = conditions.map((condition) => `SELECT ${keys} FROM ${table} WHERE ${condition}`);
    const ordered = this.#terms.map((term) => term.ordered).join(", ");
    return `(${ordered}) IN (${queries.join(" UNION ALL ")}) AND (${conditions.join(" OR ")})`;
  }

  #orderBy(prefix: "" | "+"): string {
    return this.#terms.map(({ ordered, descending }) => `${prefix}${ordered}${descending ? " DESC" : ""}`).join(", ");
  }

  #rangeAfter(cells: readonly Cell[]): RowRange {
    const last = cells.length - 1;
    const conditions = cells.map((cell, index) => {
      const term = this.#terms[index];
      const beyond = term?.descending === true ? "<" : ">";
      return `${term?.ordered ?? ""} ${index === last ? beyond : "="} ${parameterFor(cell.type)}`;
    });
    return { where: conditions.join(" AND "), parameters: cells.map(bindCell) };
  }
}

function rowidTerm(rowid: string, table: TableFacts): OrderTerm {
  const value = rowid === table.rowidColumn ? quoteIdentifier(rowid) : rowid;
  return { value, ordered: value, descending: false };
}

function primaryKeyTerms(table: TableFacts): OrderTerm[] {
  const index = table.indexes.find(({ origin }) => origin === "pk");
  return (index?.terms ?? []).flatMap(({ name, collation, descending }) => {
    if (name === undefined) return [];
    const value = quoteIdentifier(name);
    return { value, ordered: `${value} COLLATE ${quoteIdentifier(collation)}`, descending };
  });
}
