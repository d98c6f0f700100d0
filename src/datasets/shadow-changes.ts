import { KeysteadError } from "../errors.ts";
import type { ShadowDefinition } from "../fields/field-specification.ts";
import type { StoreTables } from "../store/store.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf, saveDefinition } from "./dataset-records.ts";
import { assertProtected, isShadow, type ProtectedColumn, type ShadowColumn } from "./definition.ts";
import { completeGenerations } from "./index-generations.ts";
import type { JobResult } from "./job-run.ts";

type PlaintextUse = ShadowColumn["plaintext"]["use"];

/** The column of this name, whose plaintext is in a column of its own. @throws KeysteadError `INVALID_ARGUMENT` */
export function findShadow({ name, definition }: Dataset, columnName: string): ShadowColumn {
  assertProtected(definition.columns, [columnName], `dataset ${name}`);
  const column = definition.columns.find((candidate) => candidate.name === columnName);
  if (column !== undefined && isShadow(column)) return column;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `column ${columnName} of dataset ${name} has no column of plaintext beside it: there is nothing to cut over or erase`,
  );
}

/** As {@link findShadow}, of one that is cut over. @throws KeysteadError also `CONFLICT` */
export function findErasable(dataset: Dataset, columnName: string): ShadowColumn {
  const shadow = findShadow(dataset, columnName);
  if (shadow.plaintext.use !== "read") return shadow;
  const remedy = `keystead datasets shadow cut-over ${dataset.name} ${columnName}`;
  throw new KeysteadError("CONFLICT", `column ${columnName} of dataset ${dataset.name} is not cut over; first run \`${remedy}\``);
}

/** Refuses to write back a column whose plaintext is there. @throws KeysteadError `CONFLICT` */
export function assertInPlace({ name, definition }: Dataset): void {
  const shadow = definition.columns.find(isShadow);
  if (shadow === undefined) return;
  throw new KeysteadError(
    "CONFLICT",
    `column ${shadow.name} of dataset ${name} has its plaintext beside it, in column ${shadow.plaintext.column}: it is not protected yet`,
  );
}

/**
 * Refuses to go on after a look at every row that found some out of step.
 * @throws KeysteadError `JOB_INCOMPLETE`
 */
export function assertInStep({ dataset, progress }: JobResult, column: string): void {
  const { replaced, problems } = progress;
  if (problems > 0) {
    throw new KeysteadError(
      "JOB_INCOMPLETE",
      `${String(problems)} values of dataset ${dataset} could not be worked on: see \`keystead jobs show ${dataset}\`, repair them, then run this again`,
    );
  }
  if (replaced === 0) return;
  throw new KeysteadError(
    "JOB_INCOMPLETE",
    `${String(replaced)} rows of dataset ${dataset} lacked ciphertext, or had that of another value, and have theirs now: run this again; where it ` +
      `keeps happening, some application writes column ${column} as plaintext alone: start it anew, so that it reads the definition again`,
  );
}

/**
 * Refuses plaintext that can't become NULL, before applications write NULL.
 * @throws KeysteadError `DATASET_UNSUITABLE`
 */
export async function assertErasable(databases: Databases, { definition }: Dataset, { plaintext }: ShadowColumn): Promise<void> {
  const source = await databases.open(definition.database, layoutOf(definition));
  const { required = [] } = await source.describe().finally(() => source.close());
  if (!required.includes(plaintext.column)) return;
  throw new KeysteadError(
    "DATASET_UNSUITABLE",
    `column ${plaintext.column} of table ${definition.table} is NOT NULL and can't be erased: ALTER TABLE … ALTER COLUMN "${plaintext.column}" DROP NOT NULL ` +
      "(SQLite: make the table anew without NOT NULL), then run this again",
  );
}

/** Says from now on how the plaintext beside a column is used. Once it is not read, the indexes are whole. */
export async function setPlaintextUse(tables: StoreTables, dataset: Dataset, columnName: string, use: PlaintextUse): Promise<void> {
  const { definition } = await saveDefinition(tables, dataset.id, (before) => ({
    ...before,
    columns: before.columns.map((column) =>
      column.name === columnName && isShadow(column) ? { ...column, plaintext: { ...column.plaintext, use } } : column,
    ),
  }));
  if (definition.columns.every(({ plaintext }) => plaintext?.use !== "read")) await completeGenerations(tables, dataset.id);
}

/** Where the fields of a record are that have, or had, plaintext beside their ciphertext, by logical column. */
export function shadowsOf(columns: readonly ProtectedColumn[]): Readonly<Record<string, ShadowDefinition>> {
  return Object.fromEntries(
    columns.flatMap(({ name, column, plaintext }) =>
      plaintext === undefined ? [] : [[name, { sealed: column, plaintext: plaintext.column, use: plaintext.use }] as const],
    ),
  );
}
