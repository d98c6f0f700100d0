import type { Resource } from "../access/access-control.ts";
import { KeysteadError } from "../errors.ts";
import { type BatchItem, DataActs, isProblem, type ItemProblem } from "../keys/data-acts.ts";
import type { Engine } from "../keys/engine.ts";
import { type DatasetAct, auditedOnDataset, keysOf } from "./dataset-acts.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, findDataset, readDataset } from "./dataset-records.ts";
import type { DatasetIndex } from "./definition.ts";
import { type FindOptions, type FindResult, findRows, type IndexSearch, type MadeTokens, searchTokens } from "./find-rows.ts";
import type { TokenSearch } from "./source.ts";

/** A search: what {@link DatasetService.tokens} takes, and an item of a batch. */
export interface TokensItem {
  readonly dataset: string;
  readonly index: string;
  /** One value per column of the index. */
  readonly values: IndexSearch;
}

/** Finds rows for somebody who is asked about the index's key, and about each value that is given to him. */
export async function auditedFind(
  engine: Engine,
  databases: Databases,
  { dataset: name, index, values }: TokensItem,
  options: FindOptions,
): Promise<FindResult> {
  const { result } = await auditedOnDataset(
    engine,
    searchAct("datasets.find", name, index),
    async () => {
      const dataset = await engine.store.read((tables) => findDataset(tables, name));
      return findRows(engine, databases, dataset, index, values, options);
    },
    // Only an index that exists is named in the audit: another name may be anything.
    ({ result: { rows, complete, unopenedRows }, withheld, ...made }) => ({
      ...made,
      detail: { index, rows: rows.length, complete, unopenedRows, ...(withheld.length > 0 && { withheld: withheld.join(",") }) },
    }),
  );
  return result;
}

/** Makes the tokens of one search for somebody who is asked about the index's key. */
export async function auditedTokens(engine: Engine, { dataset: name, index, values }: TokensItem): Promise<readonly TokenSearch[]> {
  const { tokens } = await auditedOnDataset(
    engine,
    searchAct("data.index", name, index),
    async () => {
      const dataset = await engine.store.read((tables) => findDataset(tables, name));
      return searchTokens(engine, dataset, index, values);
    },
    ({ key, version }) => ({ key, version, detail: { index } }),
  );
  return tokens;
}

/** As {@link auditedTokens}, of many searches: each is asked for and fails alone. */
export async function auditedManyTokens(engine: Engine, items: readonly TokensItem[]): Promise<(readonly TokenSearch[] | ItemProblem)[]> {
  const names = [...new Set(items.map(({ dataset }) => dataset))];
  const datasets = await engine.store.read(async (tables) => {
    const found = new Map<string, Dataset | undefined>();
    for (const name of names) found.set(name, await readDataset(tables, name));
    return found;
  });
  const batch = items.map(({ dataset: name, index, values }): BatchItem<MadeTokens> => {
    const known = datasets.get(name);
    const searched = known && indexOf(known, index);
    return {
      dataset: name,
      target: searched?.key,
      // An index that there is none of is asked for by each key of the dataset.
      ...(known !== undefined && searched === undefined && { ask: (place) => askForEach(engine, keysOf(known), place) }),
      work: async () => {
        if (known !== undefined) return searchTokens(engine, known, index, values);
        await engine.store.read((tables) => findDataset(tables, name));
        throw new KeysteadError("CONFLICT", `dataset ${name} was registered at this moment; ask again`);
      },
    };
  });
  const made = await new DataActs(engine).performEach("data.index", batch, () => undefined, {
    isAlwaysRecorded: true,
    versionOf: ({ version }) => version,
  });
  return made.map((each) => (isProblem(each) ? each : each.tokens));
}

async function askForEach({ access, caller }: Engine, keys: readonly string[], place: Resource): Promise<void> {
  for (const key of keys) await access.authorize(caller, "data.index", { ...place, key });
}

/** No value is among the terms: what searches can't wait for a second person. */
function searchAct(action: string, dataset: string, index: string): DatasetAct {
  return {
    action,
    dataset,
    terms: { index },
    keys: (found) => {
      const searched = indexOf(found, index);
      if (searched === undefined) return keysOf(found);
      // Who finds rows learns what their columns hold; who makes tokens learns nothing without the rows.
      const compared = action === "datasets.find" ? found.definition.columns.filter(({ name }) => searched.columns.includes(name)) : [];
      return [searched.key, ...compared.map(({ key }) => key)];
    },
  };
}

function indexOf({ definition }: Dataset, index: string): DatasetIndex | undefined {
  return definition.indexes.find(({ name }) => name === index);
}
