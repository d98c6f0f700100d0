import type { IndexChoice, IndexPlan } from "./index-planner.ts";

const columns: readonly (readonly [title: string, cell: (choice: IndexChoice) => string])[] = [
  ["bits", ({ bits }) => String(bits)],
  ["false positives", ({ falsePositives }) => rounded(falsePositives)],
  ["values per token", ({ otherValues }) => rounded(otherValues + 1)],
  ["largest bucket", ({ largestBucket }) => String(largestBucket)],
  ["exposed values", ({ exposedValues }) => String(exposedValues)],
];

/** A plan as text for a terminal: figures, a table of sizes with the recommended one marked, warnings. Contains no values. */
export function formatIndexPlan(plan: IndexPlan): string {
  const about = plan.exact ? "" : "about ";
  const lines = [
    `rows            ${plan.rows}, ${plan.indexedRows} with something to index`,
    `distinct values ${about}${plan.distinctValues}`,
    `entropy         ${rounded(plan.entropyBits)} bits, ${rounded(plan.minEntropyBits)} for the most frequent value (${about}${plan.largestValueRows} rows)`,
    `keep            ${plan.recommended.bits} bits`,
    "",
    ...tableLines(plan),
    ...plan.warnings.flatMap(({ message }) => ["", `warning: ${message}`]),
  ];
  return `${lines.join("\n")}\n`;
}

function tableLines({ choices, recommended }: IndexPlan): string[] {
  const header = columns.map(([title]) => title);
  const rows = choices.map((choice) => columns.map(([, cell]) => cell(choice)));
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[], mark: string): string =>
    `${mark} ${cells.map((cell, at) => cell.padStart(widths[at] ?? 0)).join("  ")}`;
  return [line(header, " "), ...rows.map((row, at) => line(row, choices[at]?.bits === recommended.bits ? ">" : " "))];
}

function rounded(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure.toFixed(figure >= 10 ? 1 : 2);
}
