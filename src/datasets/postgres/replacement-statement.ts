import type { Cell, RowReplacement } from "../source.ts";
import { columnNamed } from "./check-layout.ts";
import { kindOf, transportOf, transportType } from "./column-kind.ts";
import { assignments, columnSql, losesKeys } from "./document-path.ts";
import type { Parameter } from "./postgres-connection.ts";
import { ReplacementRows, valueOf } from "./replacement-rows.ts";
import type { RowLocator } from "./row-locator.ts";
import type { ColumnFacts, TableFacts } from "./table-facts.ts";

/** The SQL of replacements of the same columns. Results begin with the number of a replacement, from 1 on. */
export interface ReplacementStatement {
  /** Writes the rows that are as expected; says of each whether it holds now what was set, and whether it was left because it would lose something. */
  readonly update: string;
  /** Finds the rows that are as expected. */
  readonly findExpected: string;
  /** The same, and locks them; leaves out what others have locked. */
  readonly lockExpected: string;
  /** Finds the rows that hold what was set. */
  readonly findSet: string;
  readonly parameters: readonly Parameter[];
}

const nullCell: Cell = { type: "null" };

/** The statement for some replacements, which all expect and set the same columns, with cells that these can hold. */
export function composeReplacement(
  quotedTable: string,
  table: TableFacts,
  locator: RowLocator,
  replacements: readonly RowReplacement[],
): ReplacementStatement {
  const rows = new ReplacementRows();
  const cellsOf = (part: "expected" | "set", name: string): readonly Cell[] => replacements.map((row) => row[part][name] ?? nullCell);
  /** SQL that is true when the column holds exactly the cell. */
  const identities = (cells: readonly Cell[], column: ColumnFacts): string => {
    const { identity, identityType, identityOf } = kindOf(column);
    const parameter = rows.add(
      identityType,
      cells.map((cell) => valueOf(cell, identityOf) ?? null),
    );
    return `${identity(columnSql(column, "t."))} is not distinct from ${parameter}`;
  };
  const locatorCells = (place: number): Cell[] => replacements.map((row) => row.locator[place] ?? nullCell);
  const seek = locator.seek("t.", (column, place) =>
    rows.add(
      transportType(column),
      locatorCells(place).map((cell) => valueOf(cell, (held) => transportOf(column, held)) ?? null),
    ),
  );
  const [first] = replacements;
  const columnsOf = (part: "expected" | "set"): ColumnFacts[] => Object.keys(first?.[part] ?? {}).map((name) => columnNamed(table, name));
  const expected = [
    ...locator.columns.map((column, place) => identities(locatorCells(place), column)),
    ...columnsOf("expected").map((column) => identities(cellsOf("expected", column.name), column)),
  ];
  const set = columnsOf("set").map((column) => {
    const { identity, identityType, identityOf, written, form } = kindOf(column);
    // Plaintext of any type, which is erased.
    if (form === undefined) return { column, value: "null", holds: `${columnSql(column, "t.")} is null` };
    const value = rows.add(
      identityType,
      cellsOf("set", column.name).map((cell) => valueOf(cell, identityOf) ?? null),
    );
    const holds = `${identity(columnSql(column, "t."))} is not distinct from ${written?.(value) ?? value}`;
    return { column, value, holds };
  });
  const holds = set.map((column) => column.holds).join(" and ");
  const from = rows.source;
  const isExpected = [seek, ...expected].join(" and ");
  const findExpected = `select n.ord from ${from} join ${quotedTable} as t on ${isExpected}`;
  return {
    update: `update ${quotedTable} as t set ${assignments(set)} from ${from} where ${isExpected} returning n.ord, ${holds}, ${losesKeys(set.map(({ column }) => column))}`,
    findExpected,
    lockExpected: `${findExpected} for no key update of t skip locked`,
    findSet: `select n.ord from ${from} join ${quotedTable} as t on ${seek} and ${holds}`,
    parameters: rows.parameters,
  };
}
