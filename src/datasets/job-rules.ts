import type { StoreTables } from "../store/store.ts";
import { type Census, outstanding } from "./census.ts";
import type { Dataset } from "./dataset-records.ts";
import { saveDefinition } from "./dataset-records.ts";
import { completeGenerations, reopenGenerations } from "./index-generations.ts";
import type { JobProgress } from "./job-progress.ts";
import type { JobKind } from "./row-tasks.ts";

/** How a kind of job begins and when it is done. */
interface JobRule {
  /** Values that are still to do, as the census counts them; problems of rows included. */
  readonly remaining: (census: Census) => number;
  /** Without a count that tells, only a pass over the whole table that changes nothing shows that the job is done. */
  readonly endsIdle: boolean;
  /** Runs before the first row is read; not for a dry run. */
  readonly begin: (tables: StoreTables, dataset: Dataset) => Promise<void>;
  /** Runs in the transaction that ends the job; not for a dry run. */
  readonly finish: (
    tables: StoreTables,
    dataset: Dataset,
    result: { readonly census: Census; readonly progress: JobProgress },
  ) => Promise<void>;
}

const nothing = async (): Promise<void> => Promise.resolve();
const base: JobRule = { remaining: () => 0, endsIdle: false, begin: nothing, finish: nothing };

/** What is particular to each kind of job; how it treats a value is in row-tasks.ts. */
export const jobRules: Readonly<Record<JobKind, JobRule>> = {
  protect: {
    ...base,
    remaining: ({ columns }) => outstanding(columns).plaintext,
    finish: (tables, { id }) => completeGenerations(tables, id),
  },
  reencrypt: { ...base, remaining: ({ columns }) => outstanding(columns).old },
  recontext: {
    ...base,
    // What the application seals under the old context while the job passes would not open once that is forgotten.
    endsIdle: true,
    finish: async (tables, { id }, { progress }) => {
      if (progress.problems > 0) return;
      await saveDefinition(tables, id, (definition) => {
        const { nextContext, nextContextTypes } = definition;
        if (nextContext === null) return definition;
        return { ...definition, context: nextContext, contextTypes: nextContextTypes, nextContext: null, nextContextTypes: {} };
      });
    },
  },
  unprotect: {
    ...base,
    remaining: ({ columns }) => outstanding(columns).ciphertext,
    // From its first row on, searches would miss what has no token any more.
    begin: (tables, { id }) => reopenGenerations(tables, id),
  },
  index: {
    ...base,
    finish: async (tables, { id, definition }, { census }) => {
      // Plaintext has no tokens: a search would miss it.
      const indexed = new Set(definition.indexes.flatMap(({ columns }) => columns));
      const { plaintext } = outstanding(census.columns.filter(({ column }) => indexed.has(column)));
      if (plaintext === 0) await completeGenerations(tables, id);
    },
  },
  verify: base,
};
