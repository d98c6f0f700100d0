import type { Census } from "../../../index.ts";
import { formatCount } from "../../table.ts";
import type { StepOutcome } from "../report.ts";
import type { Tour, TourPlan } from "../tour.ts";

/** Counts what the table holds, without opening anything. */
export async function takeCensus({ keystead, signal }: Tour, { dataset, rows }: TourPlan): Promise<StepOutcome<Census>> {
  const census = await keystead.datasets.takeCensus(dataset, signal);
  return { result: census, rows, text: "counted by the headers of the values, nothing opened", details: describeCensus(census) };
}

/** The values of a census by what protects them, one line each. */
export function describeCensus({ columns }: Pick<Census, "columns">): string[] {
  const counts = new Map<string, number>();
  const add = (name: string, count: number): void => {
    if (count > 0) counts.set(name, (counts.get(name) ?? 0) + count);
  };
  for (const { plaintext } of columns) add("in plaintext", plaintext);
  for (const { key, version, count, standing } of columns.flatMap(({ versions }) => versions))
    add(`under ${key} ${version} (${standing})`, count);
  const width = Math.max(0, ...[...counts.values()].map((count) => formatCount(count).length));
  return [...counts].map(([name, count]) => `${formatCount(count).padStart(width)} ${name}`);
}
