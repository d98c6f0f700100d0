import { isDeepStrictEqual } from "node:util";
import { KeysteadError } from "../errors.ts";
import { findKey } from "../keys/key-records.ts";
import type { StoreTables } from "../store/store.ts";
import type { Dataset } from "./dataset-records.ts";
import { type DatasetDefinition, type DatasetIndex, parseTemplate, type ProtectedColumn } from "./definition.ts";

/**
 * The definition with keys by their own names, which ciphertext carries: an alias may move.
 * @throws KeysteadError `UNKNOWN_KEY`, `KEY_USAGE`
 */
export async function nameKeys(tables: StoreTables, definition: DatasetDefinition): Promise<DatasetDefinition> {
  const columns: ProtectedColumn[] = [];
  for (const column of definition.columns) {
    const key = await findKey(tables, column.key);
    if (key.usages !== "encrypt") {
      throw new KeysteadError(
        "KEY_USAGE",
        `column ${column.name} names key ${key.name}, which is for ${key.usages}; name a key of usage encrypt`,
      );
    }
    columns.push({ ...column, key: key.name });
  }
  const indexes: DatasetIndex[] = [];
  for (const index of definition.indexes) indexes.push({ ...index, key: (await findKey(tables, index.key)).name });
  return { ...definition, columns, indexes };
}

/**
 * The dataset on its way to another context template; without one, the dataset that is on its way already.
 * @throws KeysteadError `INVALID_ARGUMENT`, `CONFLICT` while it moves to another one
 */
export function withNextContext(dataset: Dataset, template: unknown): Dataset {
  const { name, definition } = dataset;
  const { nextContext } = definition;
  if (template === undefined) {
    if (nextContext !== null) return dataset;
    throw new KeysteadError("INVALID_ARGUMENT", `no recontext of dataset ${name} is under way; give the new template`);
  }
  const next = parseTemplate(template);
  if (nextContext !== null && !isDeepStrictEqual(nextContext, next)) {
    throw new KeysteadError("CONFLICT", `dataset ${name} is moving to another template; finish that first (recontext without a template)`);
  }
  return { ...dataset, definition: { ...definition, nextContext: next } };
}

/** The definition once its values are under the next template. @param left some, which did not open, are still under the one before */
export function withContextMoved(definition: DatasetDefinition, left: boolean): DatasetDefinition {
  const { context, nextContext, formerContexts } = definition;
  if (nextContext === null) return definition;
  return { ...definition, context: nextContext, nextContext: null, formerContexts: left ? [...formerContexts, context] : formerContexts };
}
