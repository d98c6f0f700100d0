import { isPhoneName, nameRank, numberRank } from "./column-meaning.ts";
import type { ColumnTraits } from "./column-traits.ts";
import type { SampleColumn } from "./table-source.ts";

/** A blind index that the tour makes. */
export interface ChosenIndex {
  /** What it finds. */
  readonly search: "exact value" | "last four characters" | "sound of a name";
  readonly kind: "exact" | "last(4)" | "metaphone";
  readonly column: SampleColumn;
  readonly normaliser: string;
}

/** A column with what its values look like. */
export interface SeenColumn {
  readonly column: SampleColumn;
  readonly traits: ColumnTraits;
}

interface IndexRule extends Pick<ChosenIndex, "search" | "kind"> {
  /** How good a column is for it; 0 = not at all. */
  readonly score: (seen: SeenColumn) => number;
  readonly normaliser: (seen: SeenColumn) => string;
}

const mostly = 0.5;

/** One search of each kind, and what makes a column good for it. */
const rules: readonly IndexRule[] = [
  {
    search: "exact value",
    kind: "exact",
    score: ({ column, traits }) => (traits.addresses > mostly ? 10 : 0) + numberRank(column.name) + traits.distinct,
    normaliser: ({ column, traits }) => (traits.addresses > mostly ? "email" : isPhoneName(column.name) ? "phone" : "text"),
  },
  {
    search: "last four characters",
    kind: "last(4)",
    score: ({ column, traits }) => (traits.numbers > mostly ? 1 + numberRank(column.name) + traits.distinct : 0),
    normaliser: () => "digits",
  },
  {
    search: "sound of a name",
    kind: "metaphone",
    score: ({ column, traits }) => (traits.names > mostly ? nameRank(column.name) : 0),
    normaliser: () => "text",
  },
];

/** The best column for each kind of search, where there is one among those that will be protected. */
export function chooseIndexes(columns: readonly SeenColumn[]): ChosenIndex[] {
  const candidates = columns.filter(({ column, traits }) => column.protect && traits.filled > 0);
  return rules.flatMap(({ search, kind, score, normaliser }) => {
    const scored = candidates.map((seen) => ({ seen, points: score(seen) })).filter(({ points }) => points > 0);
    if (scored.length === 0) return [];
    const { seen } = scored.reduce((best, other) => (other.points > best.points ? other : best));
    return [{ search, kind, column: seen.column, normaliser: normaliser(seen) }];
  });
}
