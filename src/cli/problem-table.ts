import type { RowProblem } from "../index.ts";
import { formatCount, formatTable, printable } from "./table.ts";

/**
 * Values that could not be worked on, as a table for stderr, without a newline at its end.
 * @param all how many there are; only the first of them are given
 */
export function formatProblems(first: readonly RowProblem[], all: number): string {
  const columns = [
    { title: "row", cell: rowText },
    { title: "column", cell: ({ column }: RowProblem) => column },
    { title: "code", cell: ({ code }: RowProblem) => code },
    { title: "problem", cell: ({ message }: RowProblem) => message },
  ];
  const more = all - first.length;
  return `${formatTable(first, columns, process.stderr)}${more > 0 ? `and ${formatCount(more)} more` : ""}`.trimEnd();
}

function rowText({ row }: RowProblem): string {
  return Object.entries(row)
    .map(([name, value]) => `${name}=${printable(value)}`)
    .join(" ");
}
