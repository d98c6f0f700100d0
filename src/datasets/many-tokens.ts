import { type BatchItem, DataActs, type ItemProblem } from "../keys/data-acts.ts";
import type { Engine } from "../keys/engine.ts";
import { findDataset } from "./dataset-records.ts";
import { type IndexSearch, searchTokens } from "./find-rows.ts";
import type { TokenSearch } from "./source.ts";

/** One search of a batch: what {@link DatasetService.tokens} takes. */
export interface TokensItem {
  readonly dataset: string;
  readonly index: string;
  /** One value per column of the index. */
  readonly values: IndexSearch;
}

/** The tokens of many searches. */
export function manyTokens(engine: Engine, items: readonly TokensItem[]): Promise<(readonly TokenSearch[] | ItemProblem)[]> {
  const batch = items.map(({ dataset, index, values }): BatchItem<readonly TokenSearch[]> => ({
    dataset,
    work: async () => searchTokens(engine, await engine.store.read((tables) => findDataset(tables, dataset)), index, values),
  }));
  return new DataActs(engine).performEach("data.index", batch, () => undefined, { isAlwaysRecorded: true });
}
