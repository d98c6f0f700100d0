/** A value as the sample table holds it. */
export type SampleValue = string | bigint | null;

/** The values of a row, in the order of the columns. */
export type SampleRow = readonly SampleValue[];

/** A column of the sample table. */
export interface SampleColumn {
  /** As the database spells it. */
  readonly name: string;
  /** As the dataset calls it. */
  readonly logical: string;
  readonly type: "INTEGER" | "TEXT";
  /** Will be protected; others stay readable. */
  readonly protect: boolean;
}

/** Where the rows of the sample table come from. */
export interface TableSource {
  /** `generated`: made up, may be shown. `csv`: somebody's data, never shown. */
  readonly kind: "generated" | "csv";
  /** Name of the table and of the dataset. */
  readonly table: string;
  /** The first one is the key. */
  readonly columns: readonly [SampleColumn, ...SampleColumn[]];
  /** What people should know about how the columns were read. */
  readonly notes: readonly string[];
  /** How many rows there will be, where that is known. */
  readonly rowCount: number | undefined;
  /** The rows in their order, from the start each time. */
  rows(): AsyncIterable<SampleRow>;
}
