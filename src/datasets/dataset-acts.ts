import { allowAll } from "../access/access-control.ts";
import { isPlainObject } from "../arguments.ts";
import type { ActTerms } from "../keys/access/act-terms.ts";
import { type Act, asked, audited, type Question } from "../keys/audited.ts";
import type { Engine } from "../keys/engine.ts";
import { lookUpKey } from "../keys/key-records.ts";
import type { StoreTables } from "../store/store.ts";
import { type Dataset, readDataset } from "./dataset-records.ts";

/** What acts of several steps do on the way: whoever is asked for the whole is asked for these, too. */
const steps: Readonly<Record<string, readonly string[]>> = {
  "datasets.set-context": ["datasets.recontext"],
  "datasets.cut-over": ["datasets.index"],
  "datasets.cut-over-column": ["datasets.protect"],
  "datasets.erase-column": ["datasets.protect", "datasets.erase"],
};

/** An act on a dataset. */
export interface DatasetAct {
  readonly action: string;
  readonly dataset: string;
  readonly terms: ActTerms;
  /** The keys that it concerns, where that is not each key of the dataset. */
  readonly keys?: (dataset: Dataset) => readonly string[];
  /** Keys that the caller names. */
  readonly named?: readonly string[];
  /** Further actions that he must be allowed on the same keys. */
  readonly also?: readonly string[];
}

/**
 * Does an act on a dataset as {@link audited} does: access control is asked about the dataset with each key that the act concerns, so that
 * what is said of a key or of a purpose binds it.
 * @throws KeysteadError as {@link audited}
 */
export function auditedOnDataset<T>(
  engine: Engine,
  act: DatasetAct,
  work: () => Promise<T>,
  describe?: (result: T) => Partial<Pick<Act, "key" | "version" | "detail">>,
): Promise<T> {
  return audited(engine, withQuestions(engine, act), work, describe);
}

/**
 * As {@link auditedOnDataset}, for an act that one call does in several steps, each of which nobody is asked for any more.
 * @throws KeysteadError as {@link audited}
 */
export function auditedAtOnce<T>(
  engine: Engine,
  act: DatasetAct,
  work: () => Promise<T>,
  describe: (result: T) => Pick<Act, "detail">,
): Promise<T> {
  return auditedOnDataset(engine, { ...act, also: [...(steps[act.action] ?? []), ...(act.also ?? [])] }, work, describe);
}

/** As {@link auditedOnDataset}, for what only reads. @throws KeysteadError as {@link asked} */
export function askedOnDataset<T>(engine: Engine, act: DatasetAct, work: () => Promise<T>): Promise<T> {
  return asked(engine, withQuestions(engine, act), work);
}

/** Asks for an act on a dataset, and leaves no record. @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED` */
export async function permitOnDataset(engine: Engine, act: DatasetAct): Promise<void> {
  const { questions } = withQuestions(engine, act);
  const asked = (await questions?.()) ?? [];
  for (const { action = act.action, ...concerned } of asked.length === 0 ? [{ action: act.action }] : asked)
    await engine.access.authorize(engine.caller, action, { dataset: act.dataset, ...concerned });
}

function withQuestions(engine: Engine, { keys = keysOf, named = [], also = [], ...act }: DatasetAct): Act {
  if (engine.access === allowAll) return act;
  const questions = (): Promise<Question[]> =>
    engine.store.read(async (tables) => {
      const dataset = await readDataset(tables, act.dataset);
      const names = await keyNames(tables, [...(dataset === undefined ? [] : keys(dataset)), ...named]);
      return [act.action, ...also].flatMap((action) => names.map((key) => ({ action, key })));
    });
  return { ...act, questions };
}

/** The names of keys, each once, whether they were named by an alias or not. */
async function keyNames(tables: StoreTables, namesOrAliases: readonly string[]): Promise<string[]> {
  const names = new Set<string>();
  for (const nameOrAlias of namesOrAliases) names.add((await lookUpKey(tables, nameOrAlias))?.name ?? nameOrAlias);
  return [...names];
}

/** Every key that a dataset is registered with. */
export function keysOf({ definition: { columns, indexes } }: Dataset): string[] {
  return [...new Set([...columns, ...indexes].map(({ key }) => key))];
}

/** The keys that somebody's description of a dataset or of an index names, whatever else is wrong with it. */
export function keysNamedBy(described: unknown): string[] {
  if (!isPlainObject(described)) return [];
  const parts = [described["columns"], described["indexes"]].flatMap((part) => (isPlainObject(part) ? Object.values(part) : []));
  return [described, ...parts].map((each) => (isPlainObject(each) ? each["key"] : undefined)).filter((key) => typeof key === "string");
}
