import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Cell, Cursor, SourceLayout } from "../source.ts";
import { columnNamed, findKeyIndex } from "./check-layout.ts";
import { castTo, kindOf, transportOf, transportType } from "./column-kind.ts";
import type { ResultRow } from "./postgres-connection.ts";
import type { ColumnFacts, QualifiedName, TableFacts } from "./table-facts.ts";

/** One column that rows are ordered by, as the unique index over it does. */
interface OrderTerm {
  readonly column: ColumnFacts;
  readonly less: string;
  readonly equal: string;
  readonly greater: string;
  /** SQL that gives an expression the collation of the index. */
  readonly collate: string;
}

/** Rows in key order: a condition with its parameters. */
export interface RowRange {
  readonly where: string;
  readonly parameters: readonly (string | Buffer)[];
}

/**
 * How the rows of a table are found and put in order: by a unique index, with its operators and its collations. What that index
 * takes for different is different here, so that the order is total whatever the collation. A row's locator is the cells of the
 * index, then those of further key columns.
 */
export class RowLocator {
  readonly #terms: readonly OrderTerm[];
  /** Columns whose cells make a locator. */
  readonly columns: readonly ColumnFacts[];

  constructor(layout: SourceLayout, table: TableFacts) {
    const index = findKeyIndex(layout, table);
    this.#terms = (index?.terms ?? []).flatMap(({ name, operators, collation }) =>
      name === null || operators === null
        ? []
        : {
            column: columnNamed(table, name),
            less: operatorSql(operators.less),
            equal: operatorSql(operators.equal),
            greater: operatorSql(operators.greater),
            collate: collation === null ? "" : ` collate ${qualified(collation)}`,
          },
    );
    const ordered = this.#terms.map(({ column }) => column);
    const further = layout.keyColumns.map((name) => columnNamed(table, name)).filter((column) => !ordered.includes(column));
    this.columns = [...ordered, ...further];
  }

  /** SQL for ORDER BY. `prefix` stands before the columns' names. */
  order(prefix = ""): string {
    return this.#terms.map(({ column, collate, less }) => `${prefix}${quoteIdentifier(column.name)}${collate} using ${less}`).join(", ");
  }

  /**
   * The rows after a cursor, or all, as ranges that follow each other: first those that differ from it in the last term only.
   * Each is a piece of the index. Parameters are numbered from `first` on.
   * @throws KeysteadError `INVALID_ARGUMENT` for a cursor of another table
   */
  rangesAfter(cursor: Cursor | undefined, first: number): RowRange[] {
    if (cursor === undefined) return [{ where: "true", parameters: [] }];
    const parameters = this.#parameters(cursor);
    return this.#terms.map((_, index) => this.#rangeAfter(parameters.slice(0, index + 1), first)).reverse();
  }

  /**
   * SQL that is true for rows after a cursor. Parameters are numbered from `first` on.
   * @throws KeysteadError `INVALID_ARGUMENT` for a cursor of another table
   */
  beyond(cursor: Cursor, first: number): RowRange {
    const parameters = this.#parameters(cursor);
    const where = this.#terms.map((_, index) => `(${this.#rangeAfter(parameters.slice(0, index + 1), first).where})`).join(" or ");
    return { where, parameters };
  }

  /** SQL of results that {@link readPlace} reads. */
  get place(): string {
    return this.#terms.map(({ column }) => kindOf(column).output(quoteIdentifier(column.name))).join(", ");
  }

  /** The place after a row, from results of {@link place}. */
  readPlace(results: ResultRow): Cursor {
    return encodeCursor(
      this.#terms.map(({ column }, index) => {
        const text = results[index] ?? null;
        return text === null ? { type: "null" } : kindOf(column).read(text);
      }),
    );
  }

  /** The place after a row with this locator. */
  cursorAfter(locator: readonly Cell[]): Cursor {
    return encodeCursor(locator.slice(0, this.#terms.length));
  }

  /** SQL that seeks the row of a locator in the index, whose cells are the results of `parameter`. The cells are to be compared besides. */
  seek(prefix: string, parameter: (column: ColumnFacts, place: number) => string): string {
    return this.#terms
      .map(
        ({ column, collate, equal }, place) =>
          `${prefix}${quoteIdentifier(column.name)}${collate} ${equal} ${castTo(column, parameter(column, place))}${collate}`,
      )
      .join(" and ");
  }

  #parameters(cursor: Cursor): (string | Buffer)[] {
    const cells = decodeCursor(cursor, this.#terms.length);
    return this.#terms.map(({ column }, index) => {
      const parameter = transportOf(column, cells[index] ?? { type: "null" });
      if (parameter === undefined) throw foreignCursor();
      return parameter;
    });
  }

  #rangeAfter(parameters: readonly (string | Buffer)[], first: number): RowRange {
    const last = parameters.length - 1;
    const conditions = this.#terms.slice(0, parameters.length).map(({ column, collate, equal, greater }, index) => {
      const parameter = castTo(column, `$${String(first + index)}::${transportType(column)}`);
      return `${quoteIdentifier(column.name)}${collate} ${index === last ? greater : equal} ${parameter}${collate}`;
    });
    return { where: conditions.join(" and "), parameters };
  }
}

/** The error of a cursor that belongs to another table. */
export function foreignCursor(): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", "cursor does not belong to this table as it is now: start without a cursor");
}

/** SQL of an operator, found without `search_path`. */
export function operatorSql({ schema, name }: QualifiedName): string {
  return `operator(${quoteIdentifier(schema)}.${name})`;
}

function qualified({ schema, name }: QualifiedName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}
