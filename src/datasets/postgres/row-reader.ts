import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import { layoutColumns } from "../layout.ts";
import { maxPageBytes } from "../source-limits.ts";
import type { Cell, Cursor, SourceLayout, SourceRow } from "../source.ts";
import { columnNamed } from "./check-layout.ts";
import { kindOf } from "./column-kind.ts";
import { columnSql, ownColumn } from "./document-path.ts";
import type { Parameter, ResultRow, Session } from "./postgres-connection.ts";
import type { RowLocator, RowRange } from "./row-locator.ts";
import type { ColumnFacts, TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** Rows, and whether the query would have given more; not when the next one lies beyond where reading ends. */
export interface RowBatch {
  readonly rows: readonly SourceRow[];
  readonly more: boolean;
  readonly ended: boolean;
}

/** Which rows of a range are read. */
export interface RowFilter {
  readonly where: string;
  readonly parameters: readonly Parameter[];
  /** True when an index finds them: then they are sorted, however many PostgreSQL expects, instead of looked for along the key. */
  readonly isSelective: boolean;
}

/** A row of the rarest size that still becomes a string; more would end the process. */
const maxRowBytes = 2 ** 28 + 2 ** 20;

const nowhere: RowRange = { where: "false", parameters: [] };

/** Reads rows of a table as cells. */
export class RowReader {
  readonly #table: string;
  readonly #locator: RowLocator;
  readonly #columns: readonly ColumnFacts[];

  constructor(layout: SourceLayout, name: TableName, table: TableFacts, locator: RowLocator) {
    this.#table = quoteTable(name);
    this.#locator = locator;
    this.#columns = layoutColumns(layout).map((column) => columnNamed(table, column));
  }

  /**
   * At most `limit` rows of a range that fit, in key order; fewer when they are very large, but one at least. The range's parameters
   * are numbered after those of the filter.
   * @param until the last place that is read
   */
  async readRange(
    session: Session,
    range: RowRange,
    limit: number,
    filter: RowFilter | undefined,
    until: Cursor | undefined,
  ): Promise<RowBatch> {
    const before = [...(filter?.parameters ?? []), ...range.parameters];
    const beyond = until === undefined ? nowhere : this.#locator.beyond(until, before.length + 1);
    const parameters = [...before, ...beyond.parameters, String(limit + 1)];
    const rows = await session.rows(this.#sql(range, filter, beyond.where, `$${String(parameters.length)}::bigint`), parameters);
    // Each row tells how many there are.
    const found = Number(rows[0]?.[1] ?? 0);
    const end = rows.findIndex(([, , isBeyond]) => isBeyond === "t");
    const read = end === -1 ? rows : rows.slice(0, end);
    return {
      rows: read.slice(0, limit).map((row) => this.#toRow(row)),
      more: end === -1 ? found > Math.min(limit, rows.length) : read.length > limit,
      ended: end !== -1 && read.length <= limit,
    };
  }

  /** Sizes are known without reading large values, which are left in place until the page is known to have room for them. */
  #sql(range: RowRange, filter: RowFilter | undefined, beyond: string, limit: string): string {
    const names = new Set(this.#columns.map((column) => quoteIdentifier(ownColumn(column))));
    const size = this.#columns.flatMap((column) => {
      const { form } = kindOf(column);
      if (form === undefined) return [];
      const value = columnSql(column);
      return `coalesce(octet_length(${form === "text" ? `(${value})::pg_catalog.text` : value}), 0)::bigint`;
    });
    const where = `where ${filter === undefined ? "" : `${filter.where} and `}${range.where}`;
    const found = `select ${[...names].join(", ")} from ${this.#table} ${where}`;
    const from = filter?.isSelective === true ? `(${found} offset 0)` : `(${found})`;
    const page = `select * from ${from} keystead_found order by ${this.#locator.order("keystead_found.")} limit ${limit}`;
    const sized =
      `select keystead_page.*, row_number() over () as keystead_place, count(*) over () as keystead_rows, ${["64", ...size].join(" + ")} as keystead_size, ` +
      `sum(${["64", ...size].join(" + ")}) over (rows unbounded preceding) as keystead_bytes from (${page}) keystead_page`;
    const outputs = this.#columns.map(
      (column) => `case when keystead_size <= ${String(maxRowBytes)} then ${kindOf(column).output(columnSql(column))} end`,
    );
    return (
      `select keystead_size > ${String(maxRowBytes)}, keystead_rows, ${beyond}, ${outputs.join(", ")} from (${sized}) keystead_sized ` +
      `where keystead_bytes - keystead_size < ${String(maxPageBytes)} order by keystead_place`
    );
  }

  #toRow([isLarge, , , ...values]: ResultRow): SourceRow {
    if (isLarge === "t") {
      throw new KeysteadError(
        "DATABASE_FAILED",
        `a row of table ${this.#table} has values of more than 256 MiB, more than this process can hold: find it by octet_length(), and keep such values in files`,
      );
    }
    const cells: Record<string, Cell> = {};
    for (const [place, column] of this.#columns.entries()) {
      const value = values[place] ?? null;
      cells[column.name] = value === null ? { type: "null" } : kindOf(column).read(value);
    }
    return { locator: this.#locator.columns.map(({ name }) => cells[name] ?? { type: "null" }), cells };
  }
}
