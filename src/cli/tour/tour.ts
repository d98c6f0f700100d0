import type { Keystead } from "../../index.ts";
import { guessPurpose, type Purpose } from "./column-meaning.ts";
import type { DemoClock } from "./demo-clock.ts";
import type { ExpectedFind } from "./plaintext-scan.ts";
import type { Report } from "./report.ts";
import type { SampleDatabase } from "./sample-database.ts";
import type { SampleColumn, TableSource } from "./table-source.ts";

/** What every step works with. */
export interface Tour {
  readonly keystead: Keystead;
  readonly clock: DemoClock;
  readonly source: TableSource;
  readonly database: SampleDatabase;
  /** Name of the database in the configuration. */
  readonly databaseName: string;
  readonly report: Report;
  /** Aborted when the tour is to end. */
  readonly signal: AbortSignal;
}

/** A protected column with the purpose of its key, which is also the key's name. */
export interface PlannedColumn extends SampleColumn {
  readonly purpose: Purpose;
}

/** A search with its index. */
export interface PlannedSearch extends ExpectedFind {
  /** Logical name of the index. */
  readonly name: string;
  /** Physical column of its tokens. */
  readonly indexColumn: string;
}

/** What the tour is going to do to the table. */
export interface TourPlan {
  /** Name of the dataset. */
  readonly dataset: string;
  readonly rows: number;
  readonly values: number;
  readonly columns: readonly PlannedColumn[];
  /** Purposes of the columns, each once. */
  readonly purposes: readonly Purpose[];
  readonly searches: readonly PlannedSearch[];
}

/** Name of the key of all blind indexes. */
export const searchKey = "search";

/** Why the tour does what it does, for the audit. */
export const reason = "tour";

const purposes = ["pii", "financial", "medical"] as const satisfies readonly Purpose[];

/** The columns that will be protected, with their purposes. */
export function planColumns(columns: readonly SampleColumn[]): Pick<TourPlan, "columns" | "purposes"> {
  const planned = columns.filter(({ protect }) => protect).map((column) => ({ ...column, purpose: guessPurpose(column.name) }));
  return { columns: planned, purposes: purposes.filter((purpose) => planned.some((column) => column.purpose === purpose)) };
}

/** The context to which a value of the sample table is bound. */
export function contextOf(dataset: string, key: string, column: string): Readonly<Record<string, string>> {
  return { dataset, row: key, column };
}
