import type { DatasetInfo, IndexGenerationInfo } from "../index.ts";
import { formatTable } from "./table.ts";

/** Generations of indexes as a table for people. */
export function formatGenerations(generations: readonly IndexGenerationInfo[]): string {
  return formatTable(generations, [
    { title: "index", cell: ({ index }) => index },
    { title: "generation", cell: ({ generation }) => generation },
    { title: "state", cell: ({ state }) => state },
    { title: "searched", cell: ({ searched }) => (searched ? "yes" : "") },
    { title: "kind", cell: ({ kind }) => kind },
    { title: "normaliser", cell: ({ normaliser }) => normaliser },
    { title: "bits", cell: ({ bits }) => bits },
    { title: "column", cell: ({ column }) => column },
    { title: "key version", cell: ({ keyVersion }) => keyVersion },
    { title: "drift", cell: ({ drift }) => drift.join("; ") },
  ]);
}

/** What is to be done next about the indexes that are changing their generation; nothing when none is. */
export function nextSteps({ name, indexes }: Pick<DatasetInfo, "name" | "indexes">): string[] {
  return indexes.flatMap((generation) => {
    const searched = indexes.find((other) => other.index === generation.index && other.searched);
    if (generation.searched || searched === undefined) return [];
    return nextStep(name, generation, searched);
  });
}

function nextStep(dataset: string, { index, generation, state, column }: IndexGenerationInfo, searched: IndexGenerationInfo): string[] {
  const command = (verb: string): string => `\`keystead datasets generation ${verb} ${dataset} ${index} ${String(generation)}\``;
  if (state === "building")
    return [`start every application anew, so that it writes column ${column}, too; then run \`keystead datasets index ${dataset}\``];
  if (state === "leaving")
    return [
      `start every application anew, so that none writes column ${column} any more; then run \`keystead datasets index ${dataset}\`, which empties it`,
    ];
  if (state !== "live") return [];
  return generation > searched.generation
    ? [`search by generation ${String(generation)} of ${index}: ${command("cut-over")}`]
    : [
        `start every application anew, so that none searches column ${column} any more; then run ${command("drop")} (or go back with ${command("cut-over")})`,
      ];
}
