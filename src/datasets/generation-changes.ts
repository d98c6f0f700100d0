import type { JobResult } from "./job-run.ts";
import { KeysteadError } from "../errors.ts";
import { permits, phaseOf } from "../keys/version-state.ts";
import type { StoreTables } from "../store/store.ts";
import { type Dataset, findIndex, saveDefinition } from "./dataset-records.ts";
import { type GenerationRow, usedGenerations } from "./index-generations.ts";
import { restartUnfinishedJobs } from "./job-record.ts";

/** A generation of an index, named by its number, with the one beside it. */
interface NamedGeneration {
  readonly what: string;
  readonly row: GenerationRow;
  readonly isSearched: boolean;
  readonly other: GenerationRow | undefined;
}

/**
 * The generation that may be searched in place of the other one.
 * @throws KeysteadError `INVALID_ARGUMENT`, `CONFLICT` when it is being dropped, `JOB_INCOMPLETE` while rows may lack its tokens
 */
export async function findSuccessor(tables: StoreTables, dataset: Dataset, indexName: string, generation: number): Promise<GenerationRow> {
  const { what, row, isSearched } = await findGeneration(tables, dataset, indexName, generation);
  if (isSearched) throw new KeysteadError("INVALID_ARGUMENT", `${what} is the one that is searched already; name the other one`);
  if (row.state === "leaving") throw new KeysteadError("CONFLICT", `${what} is being dropped; start another one when it is gone`);
  if (row.state === "live") return row;
  throw new KeysteadError(
    "JOB_INCOMPLETE",
    `${what} does not cover every row yet; let every application write its tokens, then run \`keystead datasets index ${dataset.name}\``,
  );
}

/** Makes a generation the one that is searched. The definition says so: whoever read it asks the right column. */
export async function searchBy(
  tables: StoreTables,
  { id }: Dataset,
  { indexName, column, kind, normaliser, bits }: GenerationRow,
): Promise<void> {
  await saveDefinition(tables, id, (definition) => ({
    ...definition,
    indexes: definition.indexes.map((index) =>
      index.name === indexName ? { ...index, column, otherColumn: index.column, kind, normalisers: normaliser.split(","), bits } : index,
    ),
  }));
}

/**
 * Takes a generation out of use: it is neither searched nor written any more, and jobs empty its column. The one that is searched
 * goes only when the state of its key version lets nobody search it anyway: then the other one takes its place, whole or not.
 * @throws KeysteadError `INVALID_ARGUMENT`, `CONFLICT` when it is searched and while a job works on the dataset
 */
export async function dropGeneration(
  tables: StoreTables,
  dataset: Dataset,
  indexName: string,
  generation: number,
  now: number,
): Promise<void> {
  const { what, row, other, isSearched } = await findGeneration(tables, dataset, indexName, generation);
  if (row.state === "leaving") return;
  if (other === undefined || other.state === "leaving")
    throw new KeysteadError("INVALID_ARGUMENT", `${what} is the only one; start another one with \`keystead datasets generation start\``);
  if (isSearched && (await canBeSearched(tables, row))) {
    const cutOver = `keystead datasets generation cut-over ${dataset.name} ${indexName} ${String(other.generation)}`;
    throw new KeysteadError("CONFLICT", `${what} is the one that is searched; first run \`${cutOver}\``);
  }
  await restartUnfinishedJobs(tables, dataset, now);
  if (isSearched) await searchBy(tables, dataset, other);
  await tables.indexGenerations.update({ ...row, state: "leaving" });
}

async function findGeneration(tables: StoreTables, dataset: Dataset, indexName: string, generation: number): Promise<NamedGeneration> {
  const { column } = findIndex(dataset, indexName);
  const rows = (await usedGenerations(tables, dataset.id)).filter((row) => row.indexName === indexName);
  const row = rows.find((candidate) => candidate.generation === generation);
  if (row !== undefined) {
    const other = rows.find((candidate) => candidate !== row);
    return { what: `generation ${String(generation)} of index ${indexName}`, row, isSearched: row.column === column, other };
  }
  const known = rows.map((candidate) => String(candidate.generation)).join(", ");
  throw new KeysteadError("INVALID_ARGUMENT", `index ${indexName} of dataset ${dataset.name} has no such generation; in use: ${known}`);
}

async function canBeSearched(tables: StoreTables, { keyId, keyVersion: version }: GenerationRow): Promise<boolean> {
  const record = await tables.versions.get({ keyId, version });
  return record !== undefined && permits(phaseOf(record), "index");
}

/** @throws KeysteadError `JOB_INCOMPLETE` */
export function assertNothingReplaced({ dataset, progress }: JobResult, index: string): void {
  if (progress.replaced === 0) return;
  throw new KeysteadError(
    "JOB_INCOMPLETE",
    `${String(progress.replaced)} rows of dataset ${dataset} lacked tokens, or had wrong ones, and have them now: some application writes ` +
      `without a generation of index ${index}; start it anew, so that it reads the indexes again, then cut over again`,
  );
}
