import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import type { StoreTables } from "../store/store.ts";
import type { NewRecord } from "../store/tables.ts";
import { resolveContextTypes } from "./context-types.ts";
import type { Databases } from "./databases.ts";
import { nameKeys } from "./dataset-changes.ts";
import { type AddedDataset, describeDataset } from "./dataset-info.ts";
import { type Dataset, findDataset, findIndex, layoutOf, saveDefinition } from "./dataset-records.ts";
import {
  type DatasetDefinition,
  type DatasetIndex,
  type DatasetIndexInput,
  type DatasetInput,
  type IndexGenerationInput,
  isShadow,
  parseDatasetInput,
  parseGenerationInput,
  parseIndexInput,
  withGeneration,
  withIndex,
} from "./definition.ts";
import { newGeneration } from "./index-generations.ts";
import { assertIdle, restartUnfinishedJobs } from "./job-record.ts";
import { planDatasetIndex } from "./plan-index.ts";
import { refuseSharedColumns } from "./shared-columns.ts";
import type { DatasetSource, SourceDescription } from "./source.ts";

/** A dataset with an index that is to be added to it. */
interface Extension {
  readonly dataset: Dataset;
  readonly generation: NewRecord<"indexGenerations">;
  readonly unplanned: readonly string[];
}

/** A dataset with the column of another generation, and the index as that will hold it. */
interface Succession {
  readonly dataset: Dataset;
  readonly generation: NewRecord<"indexGenerations">;
  readonly next: DatasetIndex;
  readonly isPlanned: boolean;
}

/** Registers tables and their indexes. Nothing in a table is changed. */
export class DatasetRegistration {
  readonly #engine: Engine;
  readonly #databases: Databases;

  constructor(engine: Engine, databases: Databases) {
    this.#engine = engine;
    this.#databases = databases;
  }

  /** Registers a table. @throws KeysteadError as `datasets.add` */
  async add(name: string, input: DatasetInput): Promise<AddedDataset> {
    const { store, clock, random } = this.#engine;
    const parsed = parseDatasetInput(name, input);
    const named = { id: randomUuid(random), name, createdAt: clock.now() };
    const checked = await store.read((tables) => nameKeys(tables, parsed.definition));
    await store.read((tables) => refuseClash(tables, name, checked));
    const { types, ...seen } = await this.#lookAt(checked, checked.indexes);
    const typed = { ...checked, contextTypes: resolveContextTypes(checked.context, checked.contextTypes, types) };
    const dataset = { ...named, definition: await this.#withPlannedBits({ ...named, definition: typed }, parsed.unplanned) };
    return store.transaction(async (tables) => {
      const { id, definition, createdAt } = dataset;
      await refuseClash(tables, name, definition);
      await tables.datasets.insert({ ...named, definition: JSON.stringify(definition), removedAt: null });
      for (const index of definition.indexes) await tables.indexGenerations.insert(await newGeneration(tables, id, index, createdAt));
      return { ...(await describeDataset(tables, dataset)), ...seen };
    });
  }

  /** Adds an index to a dataset. @throws KeysteadError as `datasets.addIndex` */
  async addIndex(name: string, indexName: string, input: DatasetIndexInput): Promise<AddedDataset> {
    const { store } = this.#engine;
    parseIndexInput(indexName, input);
    const { dataset, unplanned } = await store.read((tables) => this.#extend(tables, name, indexName, input));
    const isNew = (index: { readonly name: string }): boolean => index.name === indexName;
    const { rows, advice } = await this.#lookAt(dataset.definition, dataset.definition.indexes.filter(isNew));
    const bits = (await this.#withPlannedBits(dataset, unplanned)).indexes.find(isNew)?.bits;
    return store.transaction(async (tables) => {
      const extended = await this.#extend(tables, name, indexName, { ...input, bits });
      await restartUnfinishedJobs(tables, dataset, this.#engine.clock.now());
      await saveDefinition(tables, dataset.id, () => extended.dataset.definition);
      await tables.indexGenerations.insert(extended.generation);
      return { ...(await describeDataset(tables, extended.dataset)), rows, advice };
    });
  }

  /** Starts another generation of an index. @throws KeysteadError as `datasets.startGeneration` */
  async startGeneration(name: string, indexName: string, input: IndexGenerationInput): Promise<AddedDataset> {
    const { store, clock } = this.#engine;
    parseGenerationInput(indexName, input);
    const { dataset, next, isPlanned } = await store.read((tables) => this.#succeed(tables, name, indexName, input));
    const { rows, advice } = await this.#lookAt(dataset.definition, [next]);
    const others = dataset.definition.indexes.filter((index) => index.name !== indexName);
    const bits = isPlanned ? next.bits : (await planDatasetIndex(this.#engine, this.#databases, dataset, next, others)).recommended.bits;
    return store.transaction(async (tables) => {
      const { dataset: extended, generation } = await this.#succeed(tables, name, indexName, { ...input, bits });
      await restartUnfinishedJobs(tables, extended, clock.now());
      await saveDefinition(tables, extended.id, () => extended.definition);
      await tables.indexGenerations.insert(generation);
      return { ...(await describeDataset(tables, extended)), rows, advice };
    });
  }

  /** The dataset as it is now, with the column of another generation. */
  async #succeed(tables: StoreTables, name: string, indexName: string, input: IndexGenerationInput): Promise<Succession> {
    const now = this.#engine.clock.now();
    const found = await findDataset(tables, name);
    const searched = findIndex(found, indexName);
    if (searched.otherColumn !== null) {
      throw new KeysteadError(
        "CONFLICT",
        `another generation of index ${indexName} is under way; finish that first: \`keystead datasets generation status ${name}\` says how`,
      );
    }
    const { definition, next, isPlanned } = withGeneration(found.definition, searched, input);
    const dataset = { ...found, definition };
    await refuseSharedColumns(tables, dataset);
    await assertIdle(tables, dataset, now);
    return { dataset, next, isPlanned, generation: await newGeneration(tables, dataset.id, next, now) };
  }

  /** The dataset as it is now, with the index. */
  async #extend(tables: StoreTables, name: string, indexName: string, input: DatasetIndexInput): Promise<Extension> {
    const now = this.#engine.clock.now();
    const found = await findDataset(tables, name);
    const { definition, unplanned } = withIndex(found.definition, indexName, input);
    const dataset = { ...found, definition: await nameKeys(tables, definition) };
    const index = dataset.definition.indexes.at(-1);
    if (index === undefined) throw new KeysteadError("INTERNAL", "an index was added and is not there");
    await refuseSharedColumns(tables, dataset);
    await assertIdle(tables, dataset, now);
    return { dataset, unplanned, generation: await newGeneration(tables, dataset.id, index, now) };
  }

  /**
   * Looks at the table. Columns for tokens must be empty or hold tokens: jobs write over what is in them.
   * @throws KeysteadError `UNKNOWN_DATABASE`, `DATABASE_FAILED`, `DATASET_UNSUITABLE`
   */
  async #lookAt(
    definition: DatasetDefinition,
    newIndexes: readonly { readonly column: string }[],
  ): Promise<Pick<SourceDescription, "rows" | "advice" | "types">> {
    const source = await this.#databases.open(definition.database, layoutOf(definition));
    try {
      const { rows, advice, types } = await source.describe();
      refuseUnfitPlaintext(source, definition, types);
      const counts = newIndexes.length === 0 ? [] : await source.countGenerations();
      const foreign = counts.find(({ column, generation }) => generation === -1 && newIndexes.some((index) => index.column === column));
      if (foreign !== undefined) {
        throw new KeysteadError(
          "DATASET_UNSUITABLE",
          `column ${foreign.column} of table ${definition.table} holds ${String(foreign.count)} values that are no index tokens and would be written over: ` +
            "name an empty column",
        );
      }
      return { rows, advice, types };
    } finally {
      await source.close();
    }
  }

  /** Plans one index after the other, each beside those that have their bits. */
  async #withPlannedBits(dataset: Dataset, unplanned: readonly string[]): Promise<DatasetDefinition> {
    const { indexes } = dataset.definition;
    const settled = indexes.filter(({ name }) => !unplanned.includes(name));
    for (const index of indexes.filter(({ name }) => unplanned.includes(name))) {
      const { recommended } = await planDatasetIndex(this.#engine, this.#databases, dataset, index, settled);
      settled.push({ ...index, bits: recommended.bits });
    }
    return { ...dataset.definition, indexes: indexes.map((index) => settled.find(({ name }) => name === index.name) ?? index) };
  }
}

/** @throws KeysteadError `DATASET_UNSUITABLE` for a column of plaintext that would not read the same once it is sealed */
function refuseUnfitPlaintext(source: DatasetSource, { columns, table }: DatasetDefinition, types: SourceDescription["types"]): void {
  const names = columns.filter(isShadow).map(({ plaintext }) => plaintext.column);
  const json = names.find((column) => /^jsonb?$/i.test(types[column]?.declared ?? ""));
  if (json !== undefined) {
    throw new KeysteadError(
      "DATASET_UNSUITABLE",
      `column ${json} of table ${table} holds JSON, whose text a job can't tell from other text: let the application seal it, or make it text first`,
    );
  }
  if (names.length > 0 && source.countUncovered === undefined)
    throw new KeysteadError(
      "DATASET_UNSUITABLE",
      "sources of this kind don't count plaintext in a column of its own: protect the column in place",
    );
}

async function refuseClash(tables: StoreTables, name: string, definition: DatasetDefinition): Promise<void> {
  const [taken] = await tables.datasets.list({ name });
  if (taken !== undefined) {
    throw new KeysteadError(
      "NAME_TAKEN",
      `a dataset is named ${name} already: choose another name, or add an index to it with \`keystead datasets index ${name} --add\``,
    );
  }
  await refuseSharedColumns(tables, { name, definition });
}
