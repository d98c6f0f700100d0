import type { SQLInputValue } from "node:sqlite";
import { layoutColumns } from "../layout.ts";
import { cellSize, maxPageBytes } from "../source-limits.ts";
import type { Cell, SourceLayout, SourceRow } from "../source.ts";
import { directCell, exactCell, exactColumns, replacementCharacter } from "./cell.ts";
import { quoteIdentifier, quoteTable } from "./identifier.ts";
import type { RowLocator, RowRange } from "./row-locator.ts";
import type { ResultRow, SqliteConnection } from "./sqlite-connection.ts";

/** Rows, and whether the query would have given more; not when the next one lies beyond where reading ends. */
export interface RowBatch {
  readonly rows: readonly SourceRow[];
  readonly more: boolean;
  readonly ended: boolean;
}

/** Which rows of a range are read. */
export interface RowFilter extends RowRange {
  /** True when an index finds them: then they are sorted, however many SQLite expects, instead of looked for along the key. */
  readonly isSelective: boolean;
}

const everyRow: RowFilter = { where: "TRUE", parameters: [], isSelective: false };

/** Reads rows of a table as cells. */
export class RowReader {
  readonly #from: string;
  readonly #order: string;
  readonly #sortedOrder: string;
  /** SQL of what is read, each once: the locator's values come first. */
  readonly #expressions: readonly string[];
  readonly #locatorLength: number;
  /** Name and place of the layout's columns. */
  readonly #columns: readonly (readonly [name: string, place: number])[];
  readonly #directList: string;
  readonly #exactList: string;

  constructor(layout: SourceLayout, locator: RowLocator) {
    const names = layoutColumns(layout);
    this.#from = quoteTable(layout.table);
    this.#order = locator.order;
    this.#sortedOrder = locator.sortedOrder;
    this.#locatorLength = locator.values.length;
    this.#expressions = [...new Set([...locator.values, ...names.map(quoteIdentifier)])];
    this.#columns = names.map((name) => [name, this.#expressions.indexOf(quoteIdentifier(name))]);
    this.#directList = this.#expressions.join(", ");
    this.#exactList = this.#expressions.map(exactColumns).join(", ");
  }

  /**
   * At most `limit` rows of a range that fit, in key order; fewer when they are very large, but one at least.
   * @param beyond where reading ends
   */
  readRange(connection: SqliteConnection, range: RowRange, limit: number, filter: RowFilter = everyRow, beyond?: RowRange): RowBatch {
    const order = filter.isSelective ? this.#sortedOrder : this.#order;
    const clauses = `FROM ${this.#from} WHERE ${filter.where} AND ${range.where} ORDER BY ${order}`;
    const end = beyond === undefined ? { where: "FALSE", parameters: [] } : { ...beyond, where: `(${beyond.where})` };
    const parameters = [...end.parameters, ...filter.parameters, ...range.parameters];
    return this.#read(connection, end.where, clauses, parameters, limit);
  }

  /**
   * Reading text as strings is several times faster than reading its bytes and type, and as exact, as long as it is UTF-8: an
   * embedded NUL survives, and what is not UTF-8 shows as a replacement character. Then everything is read again as bytes.
   */
  #read(connection: SqliteConnection, end: string, clauses: string, parameters: readonly SQLInputValue[], limit: number): RowBatch {
    const direct = this.#readWith(connection, `${end}, ${this.#directList}`, directCells, clauses, parameters, limit);
    if (direct !== undefined) return direct;
    const exact = this.#readWith(connection, `${end}, ${this.#exactList}`, exactCells, clauses, parameters, limit);
    return exact ?? { rows: [], more: false, ended: false };
  }

  #readWith(
    connection: SqliteConnection,
    list: string,
    toCells: (row: ResultRow) => readonly Cell[] | undefined,
    clauses: string,
    parameters: readonly SQLInputValue[],
    limit: number,
  ): RowBatch | undefined {
    const rows: SourceRow[] = [];
    let bytes = 0;
    for (const row of connection.each(`SELECT ${list} ${clauses} LIMIT ?`, ...parameters, limit + 1)) {
      if (row[0] === 1n) return { rows, more: false, ended: true };
      if (rows.length === limit || bytes >= maxPageBytes) return { rows, more: true, ended: false };
      const cells = toCells(row);
      if (cells === undefined) return undefined;
      for (const cell of cells) bytes += cellSize(cell);
      rows.push(this.#toRow(cells));
    }
    return { rows, more: false, ended: false };
  }

  #toRow(all: readonly Cell[]): SourceRow {
    const cells: Record<string, Cell> = {};
    for (const [name, place] of this.#columns) {
      const cell = all[place];
      if (cell !== undefined) cells[name] = cell;
    }
    return { locator: all.slice(0, this.#locatorLength), cells };
  }
}

/** The first result says whether reading ends before the row. */
const firstCell = 1;

function directCells(row: ResultRow): readonly Cell[] | undefined {
  const cells: Cell[] = [];
  for (let place = firstCell; place < row.length; place += 1) {
    const value = row[place] ?? null;
    if (typeof value === "string" && value.includes(replacementCharacter)) return undefined;
    cells.push(directCell(value));
  }
  return cells;
}

function exactCells(row: ResultRow): readonly Cell[] {
  const cells: Cell[] = [];
  for (let place = firstCell; place + 1 < row.length; place += 2) cells.push(exactCell(row[place] ?? null, row[place + 1] ?? null));
  return cells;
}
