import { formatFacts, textWidth } from "../../table.ts";
import type { SampleRow, SampleValue } from "../table-source.ts";
import type { Tour, TourPlan } from "../tour.ts";

/** Characters of a ciphertext that are shown: it says what it is by its first. */
const shownCharacters = 36;
const plainWidth = 28;
const shownColumns = 12;

/** Rows among which the one to show is. */
const lookedAt = 1_000;

/** A row that shows as much as possible: one without gaps where there is one. */
export function pickRow({ database, source }: Tour): SampleRow | undefined {
  const [, ...others] = source.columns;
  let best: { readonly key: SampleValue; readonly filled: number } | undefined;
  let rows = 0;
  for (const [key = null, ...values] of database.scan(others)) {
    rows += 1;
    const filled = values.filter((value) => value !== null).length;
    if (best === undefined || filled > best.filled) best = { key, filled };
    if (filled === others.length || rows === lookedAt) break;
  }
  return best === undefined ? undefined : database.row(best.key);
}

/**
 * The row as it was stored, beside what is stored now. Of somebody's own data only the ciphertext is shown.
 * @returns lines; none when there is no row
 */
export function showRow({ database, source }: Tour, { columns }: TourPlan, before: SampleRow | undefined): string[] {
  const after = database.row(before?.[0] ?? null);
  if (before === undefined || after === undefined) return [];
  const prefixes = new Map(columns.map(({ name, purpose }) => [name, `ks1:${purpose}:`]));
  const shown = source.columns.flatMap(({ name }, position): [string, string][] => {
    const [plain, sealed] = [String(before[position] ?? ""), String(after[position] ?? "")];
    const prefix = prefixes.get(name);
    // What could not be protected is somebody's plaintext.
    if (prefix === undefined || !sealed.startsWith(prefix)) return [];
    const ciphertext = `${sealed.slice(0, shownCharacters)}…`;
    return [[name, source.kind === "generated" ? `${padded(plain)} → ${ciphertext}` : ciphertext]];
  });
  return formatFacts(Object.fromEntries(shown.slice(0, shownColumns)))
    .trimEnd()
    .split("\n");
}

function padded(text: string): string {
  return text + " ".repeat(Math.max(0, plainWidth - textWidth(text)));
}
