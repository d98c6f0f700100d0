import { type IndexSpec, maxIndexBits, minIndexBits } from "../crypto/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import { canonicalText, type CanonicalValue } from "./canonical-text.ts";
import type { Indexer, IndexKey } from "./field-key.ts";
import { findIndexKind, type IndexKind } from "./index-kinds.ts";
import { findNormaliser, type Normaliser } from "./normalisers.ts";

/** What a blind index holds of which columns. */
export interface IndexDefinition {
  /** Logical names, in the order in which values will be given. */
  readonly columns: readonly string[];
  /** `exact`, `last(4)`, `soundex`, `metaphone` or `compound`. */
  readonly kind: string;
  /** One for each column; `text` when left out. */
  readonly normalisers?: readonly string[];
  /** Bits of a token, 8 to 256, as the index planner advises. */
  readonly bits: number;
}

/** Where a generation of an index stands. */
export interface IndexPlacement {
  readonly datasetId: string;
  readonly generation: number;
  readonly keyVersion: number;
}

/** The half of a blind index that needs no key: from values to what a token is made of. */
export interface IndexRecipe {
  /** What the token of a row is made of; `undefined` when a value is null or has nothing to index. */
  values(row: readonly CanonicalValue[]): readonly string[] | undefined;
  /**
   * The alternatives that answer a search.
   * @throws KeysteadError `INVALID_ARGUMENT` when there is nothing to search for.
   */
  queries(search: readonly CanonicalValue[]): readonly (readonly string[])[];
}

/** A recipe and the function that makes its tokens. */
interface IndexGeneration {
  readonly spec: IndexSpec;
  readonly recipe: IndexRecipe;
  readonly indexer: Indexer;
}

/** What has changed since a generation was defined. */
export interface IndexDrift {
  readonly what: "normaliser" | "unicode";
  readonly then: string;
  readonly now: string;
}

const defaultNormaliser = "text";

/** The Unicode version of this process, which decides how text is folded. */
export const unicodeVersion = process.versions["unicode"] ?? "none";

/**
 * The generation of an index that this program would make now: the definition with the versions of everything behind it.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for unknown names, bits out of range, and columns that do not fit the kind.
 */
export function createIndexSpec(definition: IndexDefinition, placement: IndexPlacement): IndexSpec {
  const { columns, bits } = definition;
  if (!Number.isInteger(bits) || bits < minIndexBits || bits > maxIndexBits) {
    throw invalid(`a blind index keeps ${minIndexBits} to ${maxIndexBits} bits: choose a number in that range`);
  }
  const names = definition.normalisers ?? columns.map(() => defaultNormaliser);
  const kind = findIndexKind(definition.kind);
  const normalisers = names.map(findNormaliser);
  checkColumns(kind, columns.length, normalisers.length);
  return {
    ...placement,
    columns: [...columns],
    kind: kind.name,
    normaliser: names.join(","),
    normaliserVersion: versionText(normalisers, kind),
    unicodeVersion,
    bits,
  };
}

/**
 * How rows and searches are read by a generation. The same for both, so that what a search finds can be opened and checked.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for names that this program does not know.
 */
export function createIndexRecipe(spec: Pick<IndexSpec, "columns" | "kind" | "normaliser">): IndexRecipe {
  const kind = findIndexKind(spec.kind);
  const normalisers = spec.normaliser.split(",").map(findNormaliser);
  checkColumns(kind, spec.columns.length, normalisers.length);
  const normalise = (values: readonly CanonicalValue[]): readonly string[] | undefined => {
    if (values.length !== normalisers.length) throw invalid(`the index has ${normalisers.length} columns: pass one value for each`);
    const normalised = normalisers.map((normaliser, at) =>
      normalisedText(normaliser, values[at], `value of column ${spec.columns[at] ?? ""}`),
    );
    return normalised.every((text) => text !== undefined) ? normalised : undefined;
  };
  return {
    values: (row) => {
      const normalised = normalise(row);
      return normalised === undefined ? undefined : kind.values(normalised);
    },
    queries: (search) => {
      const normalised = normalise(search);
      const queries = normalised === undefined ? [] : kind.queries(normalised);
      if (queries.length > 0) return queries;
      throw invalid(`nothing is left to search for after the normaliser ${spec.normaliser}: search for more, or for NULL in SQL`);
    },
  };
}

/**
 * What is different now from when the generation was defined. Its tokens are still made and found, but a value that the two
 * versions read differently is missed: build a new generation.
 */
export function findIndexDrift(spec: IndexSpec): readonly IndexDrift[] {
  const now = versionText(spec.normaliser.split(",").map(findNormaliser), findIndexKind(spec.kind));
  const versions: readonly IndexDrift[] = [
    { what: "normaliser", then: spec.normaliserVersion, now },
    { what: "unicode", then: spec.unicodeVersion, now: unicodeVersion },
  ];
  return versions.filter((version) => version.then !== version.now);
}

/**
 * A blind index with its live generations: rows get the token of the newest, searches the tokens of all.
 *
 * @example
 * const index = BlindIndex.open(await keystead.open("pii-index"), [spec]);
 * index.token(["anna@example.org"]);      // "1.3kD0"
 * index.queryTokens(["Anna@Example.org"]); // ["1.3kD0"]
 */
export class BlindIndex {
  readonly #generations: readonly IndexGeneration[];

  private constructor(generations: readonly IndexGeneration[]) {
    this.#generations = generations;
  }

  /**
   * @param key - Opened key of usage `blind-index`; for the index of a dataset, opened for that dataset.
   * @throws KeysteadError `INVALID_ARGUMENT` for no generation, for unknown names; what {@link IndexKey.indexer} throws.
   */
  static open(key: IndexKey, specs: readonly IndexSpec[]): BlindIndex {
    if (specs.length === 0) throw invalid("a blind index needs a live generation: build one");
    const newestFirst = specs.toSorted((a, b) => b.generation - a.generation);
    return new BlindIndex(newestFirst.map((spec) => ({ spec, recipe: createIndexRecipe(spec), indexer: key.indexer(spec) })));
  }

  /** Token of a row for its index column, `<generation>.<base64url>`; null (SQL NULL) when there is nothing to index. */
  token(row: readonly CanonicalValue[]): string | null {
    const [newest] = this.#generations;
    const values = newest?.recipe.values(row);
    return newest === undefined || values === undefined ? null : newest.indexer(values);
  }

  /**
   * The tokens that rows found by a search have, one or more of each live generation.
   * @throws KeysteadError `INVALID_ARGUMENT` when there is nothing to search for.
   */
  queryTokens(search: readonly CanonicalValue[]): readonly string[] {
    return [...new Set(this.#generations.flatMap(({ recipe, indexer }) => recipe.queries(search).map(indexer)))];
  }

  /** True when an opened row is what a search is for: tokens are short, so rows of other values share them. */
  matches(row: readonly CanonicalValue[], search: readonly CanonicalValue[]): boolean {
    return this.#generations.some(({ recipe }) => {
      const values = recipe.values(row);
      return values !== undefined && recipe.queries(search).some((query) => sameTexts(query, values));
    });
  }
}

function normalisedText(normaliser: Normaliser, value: CanonicalValue, what: string): string | undefined {
  return value === null || value === undefined ? undefined : normaliser.normalise(canonicalText(value, what));
}

function versionText(normalisers: readonly Normaliser[], kind: IndexKind): string {
  const versions = normalisers.map(({ version }) => version).join(",");
  return kind.version === undefined ? versions : `${versions};${kind.version}`;
}

function checkColumns(kind: IndexKind, columns: number, normalisers: number): void {
  if (kind.columns === "one" ? columns !== 1 : columns < 2) {
    throw invalid(`an index of kind ${kind.name} has ${kind.columns === "one" ? "one column" : "two columns or more"}: name as many`);
  }
  if (normalisers !== columns) throw invalid(`the index has ${columns} columns: name one normaliser for each`);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at]);
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
