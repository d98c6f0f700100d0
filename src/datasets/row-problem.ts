import type { KeysteadError } from "../errors.ts";
import { cellToKeyText } from "./cells.ts";
import type { DatasetDefinition } from "./definition.ts";
import type { RowProblem } from "./job-progress.ts";
import type { Cell, SourceRow } from "./source.ts";

const longestKeyText = 500;

/** What is wrong with a column, or an index, of a row that nobody could work on. */
export function rowProblem(
  { keyColumns }: DatasetDefinition,
  row: SourceRow,
  column: string,
  { code, message }: KeysteadError,
): RowProblem {
  return { row: Object.fromEntries(keyColumns.map((name) => [name, keyText(row.cells[name])])), column, code, message };
}

/** Text by which a person finds the row; kept with a job, so not of any length. */
function keyText(cell: Cell | undefined): string {
  const text = (cell && cellToKeyText(cell)) ?? `(${cell?.type ?? "missing"})`;
  return text.length > longestKeyText ? `${text.slice(0, longestKeyText)}…` : text;
}
