import { isDeepStrictEqual } from "node:util";
import { KeysteadError } from "../errors.ts";
import { findKey } from "../keys/key-records.ts";
import type { StoreTables } from "../store/store.ts";
import type { Dataset } from "./dataset-records.ts";
import type { ContextTemplate } from "../fields/context-template.ts";
import { type ContextTypes, resolveContextTypes } from "./context-types.ts";
import type { ContextMove, DatasetDefinition, DatasetIndex, ProtectedColumn } from "./definition.ts";
import type { DeclaredType } from "./source.ts";

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
 * The dataset on its way to another context template; without one, the dataset that is on its way already. A column keeps the type
 * that it has in the template now, unless the caller gives another. Given the template before, what was moved goes back.
 * @param declared what the table says about the columns of both templates
 * @throws KeysteadError `INVALID_ARGUMENT`, `DATASET_UNSUITABLE`, `CONFLICT` while it moves to another one
 */
export function withNextContext(
  dataset: Dataset,
  move: ContextMove | undefined,
  declared: Readonly<Record<string, DeclaredType>>,
): Dataset {
  const { name, definition } = dataset;
  const { nextContext } = definition;
  if (move === undefined) {
    if (nextContext !== null) return dataset;
    throw new KeysteadError("INVALID_ARGUMENT", `no recontext of dataset ${name} is under way; give the new template`);
  }
  if (nextContext !== null) {
    if (isMoveTo(nextContext, definition.nextContextTypes, move)) return dataset;
    if (isMoveTo(definition.context, definition.contextTypes, move)) return { ...dataset, definition: turnedBack(definition, nextContext) };
    throw new KeysteadError(
      "CONFLICT",
      `dataset ${name} is moving to another template; finish that first (recontext without a template), or give the template before to go back`,
    );
  }
  const known = { ...definition.contextTypes, ...move.contextTypes };
  const nextContextTypes = resolveContextTypes(move.context, known, declared);
  return { ...dataset, definition: { ...definition, nextContext: move.context, nextContextTypes } };
}

function isMoveTo(template: ContextTemplate, types: ContextTypes, { context, contextTypes }: ContextMove): boolean {
  return isDeepStrictEqual(template, context) && Object.entries(contextTypes).every(([column, type]) => types[column] === type);
}

/** On the way back: what was moved is under the template that is now the old one. */
function turnedBack(definition: DatasetDefinition, nextContext: ContextTemplate): DatasetDefinition {
  const { context, contextTypes, nextContextTypes } = definition;
  return { ...definition, context: nextContext, contextTypes: nextContextTypes, nextContext: context, nextContextTypes: contextTypes };
}

/** The definition once its values are under the next template. @param left some, which did not open, are still under the one before */
export function withContextMoved(definition: DatasetDefinition, left: boolean): DatasetDefinition {
  const { context, contextTypes, nextContext, nextContextTypes, formerContexts } = definition;
  if (nextContext === null) return definition;
  return {
    ...definition,
    context: nextContext,
    contextTypes: nextContextTypes,
    nextContext: null,
    nextContextTypes: {},
    formerContexts: left ? [...formerContexts, { context, contextTypes }] : formerContexts,
  };
}
