import { isKeyName, parseLabel } from "../../crypto/ciphertext.ts";
import type { GenerationCount, HeaderCount } from "../source.ts";
import { maxGenerationGroups, maxHeaderGroups, tooManyGenerations, tooManyHeaders } from "../source-limits.ts";
import type { ResultRow } from "./postgres-connection.ts";

/** Rows of a count that are read, so that neither limit is passed unnoticed. */
export function mostCountRows(columns: number): number {
  return Math.max(maxHeaderGroups, columns * maxGenerationGroups) + 2 * columns + 1;
}

/**
 * The census of columns, from the results of their headers. The strict parser has the last word.
 * @throws KeysteadError `DATABASE_FAILED` when there are more headers than anybody has keys.
 */
export function headerCounts(columns: readonly string[], rows: readonly ResultRow[]): HeaderCount[] {
  const counts: HeaderCount[] = [];
  const plaintext = new Map<string, number>();
  let headers = 0;
  for (const [place, header = null, found] of rows) {
    const column = columns[Number(place)] ?? "";
    const count = Number(found);
    const [key = "", label = ""] = header?.split(":") ?? [];
    if (header === null) counts.push({ column, kind: "null", count });
    else if (!isKeyName(key) || parseLabel(label) === undefined) plaintext.set(column, (plaintext.get(column) ?? 0) + count);
    else {
      headers += 1;
      if (headers > maxHeaderGroups) throw tooManyHeaders(column);
      counts.push({ column, kind: "ciphertext", key, label, count });
    }
  }
  return [...counts, ...[...plaintext].map(([column, count]) => ({ column, kind: "plaintext" as const, count }))];
}

/**
 * Tokens by generation, from the results of their columns.
 * @throws KeysteadError `DATABASE_FAILED` when there are more generations than anybody makes.
 */
export function generationCounts(columns: readonly string[], rows: readonly ResultRow[]): GenerationCount[] {
  return columns.flatMap((column, index) => {
    const counts = new Map<number | null, number>();
    for (const [place, text, found] of rows) {
      if (Number(place) !== index) continue;
      const generation = text === null || text === undefined ? null : text !== "" && Number.isSafeInteger(Number(text)) ? Number(text) : -1;
      counts.set(generation, (counts.get(generation) ?? 0) + Number(found));
      if (counts.size > maxGenerationGroups) throw tooManyGenerations(column);
    }
    return [...counts].map(([generation, count]) => ({ column, generation, count }));
  });
}
