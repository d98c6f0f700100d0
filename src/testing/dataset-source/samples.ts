import assert from "node:assert/strict";
import type { Cell, Cursor, DatasetSource, RowReplacement, SourceRow } from "../../datasets/source.ts";
import type { DatasetSourceSuite, TestRow } from "./suite.ts";

export const nullCell: Cell = { type: "null" };

/** A text cell. */
export function textCell(text: string): Cell {
  return { type: "text", bytes: Buffer.from(text) };
}

/** A text for people and for comparing: the same for identical cells only. */
export function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return "missing";
  if (cell.type === "null") return "null";
  if (cell.type === "integer") return `integer:${cell.value.toString()}`;
  if (cell.type === "real") return `real:${Object.is(cell.value, -0) ? "-0" : String(cell.value)}`;
  return `${cell.type}:${JSON.stringify(Buffer.from(cell.bytes).toString("latin1"))}`;
}

/** The same for identical rows only, whatever the order of their columns. */
export function rowText(row: TestRow): string {
  const columns = Object.keys(row).sort();
  return JSON.stringify(columns.map((column) => [column, cellText(row[column])]));
}

/** The first value column of a suite. */
export function valueColumnOf({ layout }: DatasetSourceSuite): string {
  return layout.valueColumns[0] ?? "";
}

/** The first index column of a suite. */
export function indexColumnOf({ layout }: DatasetSourceSuite): string {
  return layout.indexColumns[0] ?? "";
}

/** The row of a number, its values and contexts taken in turn. */
export function sampleRow(suite: DatasetSourceSuite, number: number): TestRow {
  const { layout, keyOf, values, contexts } = suite;
  const row: Record<string, Cell> = { ...keyOf(number) };
  for (const column of layout.valueColumns) row[column] = column === valueColumnOf(suite) ? inTurn(values, number) : nullCell;
  for (const column of layout.contextColumns) row[column] ??= inTurn(contexts, number);
  for (const column of layout.indexColumns)
    row[column] = number % 3 === 0 ? nullCell : textCell(`${1 + (number % 2)}.${"AgQw".charAt(number % 4)}A`);
  return row;
}

/** The rows of the numbers from 0 on. */
export function sampleRows(suite: DatasetSourceSuite, count: number): TestRow[] {
  return Array.from({ length: count }, (_, number) => sampleRow(suite, number));
}

/** Rows that have these cells in a column. */
export function rowsWith(suite: DatasetSourceSuite, column: string, cells: readonly Cell[]): TestRow[] {
  return cells.map((cell, number) => ({ ...sampleRow(suite, number), [column]: cell }));
}

/** The key cells of a row. */
export function keyOfRow({ layout }: DatasetSourceSuite, row: TestRow): TestRow {
  return Object.fromEntries(layout.keyColumns.map((column) => [column, row[column] ?? nullCell]));
}

/** All rows from a cursor on. */
export async function readAll(source: DatasetSource, limit: number, cursor?: Cursor, until?: Cursor): Promise<SourceRow[]> {
  const rows: SourceRow[] = [];
  for (let at = cursor; ;) {
    const page = await source.readPage(at, limit, until);
    assert.ok(page.rows.length <= limit, "a page has more rows than were asked for");
    rows.push(...page.rows);
    if (page.next === undefined) return rows;
    assert.ok(page.rows.length > 0, "a page that is not the last one is empty");
    at = page.next;
  }
}

/** Puts a cell into the first value column, if the row still is as it was read. */
export function replacement(suite: DatasetSourceSuite, { locator, cells }: SourceRow, cell: Cell): RowReplacement {
  return { locator, expected: cells, set: { [valueColumnOf(suite)]: cell } };
}

/** The rows are the same, in any order. */
export function assertSameRows(actual: readonly TestRow[], expected: readonly TestRow[]): void {
  assert.deepEqual(actual.map(rowText).sort(), expected.map(rowText).sort());
}

function inTurn(cells: readonly Cell[], number: number): Cell {
  return cells[number % cells.length] ?? nullCell;
}
