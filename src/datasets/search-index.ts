import { parseLabel } from "../crypto/ciphertext.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { BlindIndex } from "../fields/blind-index.ts";
import type { CanonicalValue } from "../fields/canonical-text.ts";
import type { KeyHandle } from "../keys/key-handle.ts";
import type { Engine } from "../keys/engine.ts";
import { type Dataset, findIndex } from "./dataset-records.ts";
import { type GenerationRow, specOf, usedGenerations } from "./index-generations.ts";
import type { DatasetKeys } from "./job-keys.ts";
import { indexedColumns, type IndexedColumns } from "./row-indexes.ts";
import type { TokenSearch } from "./source.ts";

interface OpenedGeneration {
  readonly column: string;
  readonly blind: BlindIndex;
}

/**
 * A blind index, opened for one search. The generation that is searched decides which rows match. Every other live one helps to
 * find them: an application that was started before a generation came, or after one went, may have written a row without its token.
 */
export class SearchIndex implements IndexedColumns {
  readonly name: string;
  readonly columns: IndexedColumns["columns"];
  readonly kinds: IndexedColumns["kinds"];
  /** Name of its key. */
  readonly key: string;
  /** Label of the version that makes the tokens which are searched. */
  readonly version: string;
  readonly #searched: OpenedGeneration;
  readonly #others: readonly OpenedGeneration[];
  readonly #row: GenerationRow;

  private constructor(
    name: string,
    { columns, kinds }: IndexedColumns,
    { key, version }: Pick<SearchIndex, "key" | "version">,
    row: GenerationRow,
    searched: OpenedGeneration,
    others: readonly OpenedGeneration[],
  ) {
    this.name = name;
    this.columns = columns;
    this.kinds = kinds;
    this.key = key;
    this.version = version;
    this.#row = row;
    this.#searched = searched;
    this.#others = others;
  }

  /**
   * @throws KeysteadError `INVALID_ARGUMENT` for an unknown index, `JOB_INCOMPLETE` while rows may lack tokens, `CONFLICT` when another
   *   generation has just taken its place, `KEY_STATE`
   */
  static async open(engine: Engine, dataset: Dataset, indexName: string, keys: DatasetKeys): Promise<SearchIndex> {
    const { name, column, columns, key } = findIndex(dataset, indexName);
    const rows = await engine.store.read((tables) => usedGenerations(tables, dataset.id));
    const ofIndex = rows.filter((row) => row.indexName === name);
    const row = ofIndex.find((candidate) => candidate.column === column);
    if (row === undefined || row.state === "leaving") throw changedMeanwhile(name);
    if (row.state !== "live") {
      throw new KeysteadError(
        "JOB_INCOMPLETE",
        `index ${name} does not cover every row yet; run \`keystead datasets index ${dataset.name}\`, and before it ` +
          `\`keystead datasets protect ${dataset.name}\` while its columns hold plaintext`,
      );
    }
    const handle = await keys.open(key);
    const searched = openGeneration(handle, row);
    const others = ofIndex.filter((other) => other !== row && other.state === "live").flatMap((other) => openIfPermitted(handle, other));
    const version = handle.labels.find((label) => parseLabel(label)?.version === row.keyVersion) ?? "";
    return new SearchIndex(name, indexedColumns(dataset.definition.columns, columns), { key, version }, row, searched, others);
  }

  /**
   * The tokens that rows found by a search have, by column.
   * @throws KeysteadError `INVALID_ARGUMENT` when there is nothing to search for
   */
  tokens(search: readonly CanonicalValue[]): TokenSearch[] {
    const { column, blind } = this.#searched;
    const asked = { column, tokens: blind.queryTokens(search) };
    return [asked, ...this.#others.flatMap((other) => tokensOfOther(other, search))];
  }

  /** True when an opened row is what the search is for. */
  matches(row: readonly CanonicalValue[], search: readonly CanonicalValue[]): boolean {
    return this.#searched.blind.matches(row, search);
  }

  /** @throws KeysteadError `CONFLICT` when rows may have lost their tokens since it was opened */
  async assertUnchanged(engine: Engine): Promise<void> {
    const { datasetId, indexName, generation, rowVersion } = this.#row;
    const now = await engine.store.read((tables) => tables.indexGenerations.get({ datasetId, indexName, generation }));
    if (now?.rowVersion !== rowVersion) throw changedMeanwhile(this.name);
  }
}

function openGeneration(key: KeyHandle, row: GenerationRow): OpenedGeneration {
  return { column: row.column, blind: BlindIndex.open(key, [specOf(row)]) };
}

/** The generation that takes the place of one under a compromised version is searched without it. */
function openIfPermitted(key: KeyHandle, row: GenerationRow): OpenedGeneration[] {
  try {
    return [openGeneration(key, row)];
  } catch (error) {
    if (isKeysteadError(error, "KEY_STATE")) return [];
    throw error;
  }
}

/** What is nothing to search for under another normaliser is found without it. */
function tokensOfOther({ column, blind }: OpenedGeneration, search: readonly CanonicalValue[]): TokenSearch[] {
  try {
    return [{ column, tokens: blind.queryTokens(search) }];
  } catch (error) {
    if (isKeysteadError(error, "INVALID_ARGUMENT")) return [];
    throw error;
  }
}

function changedMeanwhile(name: string): KeysteadError {
  return new KeysteadError("CONFLICT", `index ${name} changed during the search; search again`);
}
