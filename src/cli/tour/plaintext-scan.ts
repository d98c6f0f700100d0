import { createIndexRecipe, type IndexPlan, planIndex } from "../../index.ts";
import type { ChosenIndex } from "./index-choice.ts";
import type { SampleRow, SampleValue } from "./table-source.ts";

/** The most rows that a search of the tour should find. */
const mostHits = 1_000;
const keptSpellings = 5;

/** The most rows that a search may open. */
export const mostOpened = 100_000;

/** A search, and what a scan of the plaintext says is right. */
export interface ExpectedFind {
  readonly index: ChosenIndex;
  /** What is searched for. */
  readonly value: string | bigint;
  /** Keys of the rows that hold it. */
  readonly keys: ReadonlySet<string>;
  /** Different ways in which it is written in these rows, as far as they were kept. */
  readonly spellings: readonly string[];
  /** How many bits of a token to keep. */
  readonly plan: IndexPlan;
}

interface Bucket {
  readonly value: string | bigint;
  /** Ways to write it, by what counts as one. */
  readonly spellings: Map<string, string>;
  readonly keys: string[];
}

/** Reads a column as its index will, and finds something to search for that is written in several ways. */
export class PlaintextScan {
  readonly index: ChosenIndex;
  readonly #recipe: ReturnType<typeof createIndexRecipe>;
  readonly #buckets = new Map<string, Bucket>();

  constructor(index: ChosenIndex) {
    const { kind, normaliser, column } = index;
    this.index = index;
    this.#recipe = createIndexRecipe({ columns: [column.logical], kind, normaliser });
  }

  /** Takes a row: its key, then the column's value. */
  add([key = null, value = null]: SampleRow): void {
    if (key === null || value === null) return;
    const texts = this.#recipe.values([value]);
    if (texts === undefined) return;
    const name = JSON.stringify(texts);
    const bucket = this.#buckets.get(name) ?? { value, spellings: new Map<string, string>(), keys: [] };
    bucket.keys.push(String(key));
    if (bucket.spellings.size < keptSpellings) bucket.spellings.set(spellingOf(this.index.kind, String(value)), String(value));
    this.#buckets.set(name, bucket);
  }

  /**
   * @param existing other indexes over the same column, whose bits add up
   * @returns undefined when no row has anything to search for, and when a search might open too many rows
   */
  expect(existing: readonly ExpectedFind[]): ExpectedFind | undefined {
    const chosen = this.#choose();
    if (chosen === undefined) return undefined;
    const found = this.#recipe.queries([chosen]).flatMap((texts) => this.#buckets.get(JSON.stringify(texts)) ?? []);
    const counts = new Map([...this.#buckets].map(([name, { keys }]) => [name, keys.length]));
    const beside = existing
      .filter(({ index }) => index.column === this.index.column)
      .map(({ plan }) => ({ bits: plan.recommended.bits, inputBits: Math.log2(Math.max(1, plan.distinctValues)) }));
    const plan = planIndex(counts, beside);
    if (plan.recommended.largestBucket > mostOpened) return undefined;
    return {
      index: this.index,
      value: chosen,
      keys: new Set(found.flatMap(({ keys }) => keys)),
      spellings: [...new Set(found.flatMap(({ spellings }) => [...spellings.values()]))].slice(0, keptSpellings),
      plan,
    };
  }

  /** The value with the most spellings, then rows; none of so many rows that they would only be tiring. */
  #choose(): Exclude<SampleValue, null> | undefined {
    let best: Bucket | undefined;
    for (const bucket of this.#buckets.values()) if (best === undefined || isBetter(bucket, best)) best = bucket;
    return best?.value;
  }
}

/** For a search by sound only other letters are another spelling. */
function spellingOf(kind: ChosenIndex["kind"], text: string): string {
  return kind === "metaphone"
    ? text
        .normalize("NFKC")
        .toLowerCase()
        .replace(/\P{L}+/gu, "")
    : text;
}

function isBetter(bucket: Bucket, best: Bucket): boolean {
  const [fits, bestFits] = [bucket.keys.length <= mostHits, best.keys.length <= mostHits];
  if (!fits || !bestFits) return fits || (!bestFits && bucket.keys.length < best.keys.length);
  if (bucket.spellings.size !== best.spellings.size) return bucket.spellings.size > best.spellings.size;
  return bucket.keys.length > best.keys.length;
}
