import type { StoreTables } from "../store/store.ts";
import { type Census, outstanding } from "./census.ts";
import { withContextMoved } from "./dataset-changes.ts";
import type { Dataset } from "./dataset-records.ts";
import { saveDefinition } from "./dataset-records.ts";
import { completeGenerations, reopenGenerations, retireGenerations } from "./index-generations.ts";
import type { RunOptions } from "./job-options.ts";
import type { JobProgress } from "./job-progress.ts";
import type { JobKind } from "./row-tasks.ts";

/** How a kind of job begins and when it is done. */
interface JobRule {
  /** Values that are still to do, as the census counts them; problems of rows included. */
  readonly remaining: (census: Census, options: RunOptions) => number;
  /**
   * When a pass that was not idle ends the job. `counted`: the census says that nothing is left. `idle`: never, as without a count that
   * tells only a pass over the whole table that changes nothing shows that it is done. `told`: when what was replaced was told, so that
   * the caller knows of it.
   */
  readonly ends: "counted" | "idle" | "told";
  /** Runs before the first row is read; not for a dry run. */
  readonly begin: (tables: StoreTables, dataset: Dataset) => Promise<void>;
  /** True when what was left alone keeps the job from taking effect. */
  readonly leavesWork: (progress: JobProgress, options: RunOptions) => boolean;
  /** Runs in the transaction that ends the job, unless it leaves work; not for a dry run. */
  readonly finish: (
    tables: StoreTables,
    dataset: Dataset,
    result: { readonly census: Census; readonly progress: JobProgress },
  ) => Promise<void>;
}

const nothing = async (): Promise<void> => Promise.resolve();
const base: JobRule = { remaining: () => 0, ends: "counted", begin: nothing, leavesWork: () => false, finish: nothing };

/** Plaintext has no tokens, whichever job left it: a search would miss it. A column that still holds tokens is not dropped. */
const settleIndexes: JobRule["finish"] = async (tables, { id, definition }, { census }) => {
  // Applications that write plaintext alone make no tokens.
  const isWhole = definition.columns.every(({ plaintext }) => plaintext?.use !== "read");
  const indexed = new Set(definition.indexes.flatMap(({ columns }) => columns));
  const { plaintext } = outstanding(census.columns.filter(({ column }) => indexed.has(column)));
  if (plaintext === 0 && isWhole) await completeGenerations(tables, id);
  const filled = census.indexes.filter(({ generations, malformed }) => malformed > 0 || Object.keys(generations).length > 0);
  await retireGenerations(tables, id, new Set(filled.map(({ column }) => column)));
};

/** What is particular to each kind of job; how it treats a value is in row-tasks.ts. */
export const jobRules: Readonly<Record<JobKind, JobRule>> = {
  protect: {
    ...base,
    remaining: ({ columns }) => outstanding(columns).plaintext,
    finish: settleIndexes,
  },
  reencrypt: { ...base, remaining: ({ columns }) => outstanding(columns).old },
  import: {
    ...base,
    // What is not Keystead's is foreign in the columns that come from the codec, and none of this job's business in others.
    remaining: ({ columns }, { columns: names }) =>
      outstanding(columns.filter(({ column }) => names?.includes(column) !== false)).plaintext + outstanding(columns).old,
    finish: settleIndexes,
  },
  recontext: {
    ...base,
    // What the application seals under the old context while the job passes would not open once that is forgotten.
    ends: "idle",
    // What opens under the old context alone would open no more once that is forgotten; what opens under neither loses nothing.
    leavesWork: ({ problems, tokenProblems, unopened }, { leaveUnopened }) =>
      problems - tokenProblems > (leaveUnopened === true ? unopened : 0),
    finish: async (tables, { id }, { progress }) => {
      await saveDefinition(tables, id, (definition) => withContextMoved(definition, progress.unopened > 0));
    },
  },
  unprotect: {
    ...base,
    remaining: ({ columns }) => outstanding(columns).ciphertext,
    // From its first row on, searches would miss what has no token any more.
    begin: (tables, { id }) => reopenGenerations(tables, id),
  },
  index: { ...base, finish: settleIndexes },
  verify: base,
  // Only rows tell whether some application still writes the plaintext: a run that finds nothing. It may go on being written until then.
  erase: { ...base, ends: "told" },
};
