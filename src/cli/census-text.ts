import type { Census } from "../index.ts";
import { formatTable } from "./table.ts";

interface CensusLine {
  readonly dataset: string;
  readonly column: string;
  readonly holds: string;
  readonly count: number;
  readonly standing: string;
}

/** Censuses as one table for people. */
export function formatCensuses(censuses: readonly Census[]): string {
  return formatTable(censuses.flatMap(linesOf), [
    { title: "dataset", cell: ({ dataset }) => dataset },
    { title: "column", cell: ({ column }) => column },
    { title: "holds", cell: ({ holds }) => holds },
    { title: "count", cell: ({ count }) => count },
    { title: "standing", cell: ({ standing }) => standing },
  ]);
}

function linesOf({ dataset, columns, indexes }: Census): CensusLine[] {
  const values = columns.flatMap(({ column, plaintext, nulls, versions }) => [
    ...versions.map(({ key, version, count, standing }) => ({ dataset, column, holds: `${key}:${version}`, count, standing })),
    ...(plaintext > 0 ? [{ dataset, column, holds: "plaintext", count: plaintext, standing: "unprotected" }] : []),
    ...(nulls > 0 ? [{ dataset, column, holds: "NULL", count: nulls, standing: "" }] : []),
  ]);
  const tokens = indexes.flatMap(({ index, generations, none, malformed }) => [
    ...Object.entries(generations).map(([generation, count]) => ({
      dataset,
      column: index,
      holds: `tokens of generation ${generation}`,
      count,
      standing: "",
    })),
    ...(none > 0 ? [{ dataset, column: index, holds: "no token", count: none, standing: "" }] : []),
    ...(malformed > 0 ? [{ dataset, column: index, holds: "no valid token", count: malformed, standing: "malformed" }] : []),
  ]);
  return [...values, ...tokens];
}
