import assert from "node:assert/strict";
import type { Cell, DatasetSource, SourceLayout } from "../../datasets/source.ts";
import type { ErrorCode } from "../../errors.ts";
import type { CanonicalType } from "../../fields/canonical-text.ts";

/** The cells of a row, by column. */
export type TestRow = Readonly<Record<string, Cell>>;

/** A table as the application that owns it sees it. */
export interface TestTable {
  readonly openSource: (layout: SourceLayout) => Promise<DatasetSource>;
  readonly insert: (rows: readonly TestRow[]) => Promise<void>;
  /** Changes the row that has these key cells. */
  readonly update: (key: TestRow, set: TestRow) => Promise<void>;
  readonly remove: (key: TestRow) => Promise<void>;
  /** All rows, in any order, with every column of the layout. */
  readonly read: () => Promise<TestRow[]>;
  readonly drop: () => Promise<void>;
}

/** The functions of a test framework that the suite needs; those of vitest, jest, mocha and node:test fit. */
export interface TestFunctions {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
}

/** What {@link testDatasetSource} works on: one kind of table. */
export interface DatasetSourceSuite extends TestFunctions {
  /** Names the database and what is special about the table. */
  readonly name: string;
  /** Has at least one value column, one context column and one index column; with two of these, searches of both are tested, too. */
  readonly layout: SourceLayout;
  /** What `describe()` is to say of the value columns. */
  readonly forms: Readonly<Record<string, "text" | "binary">>;
  /** The same of the key and context columns: their canonical types, undefined where the declaration does not tell. */
  readonly types: Readonly<Record<string, CanonicalType | undefined>>;
  /** Makes an empty table; called for each test. */
  readonly createTable: () => Promise<TestTable>;
  /** Key cells of a row, by a number from 0 on: another key for each number, of the type that `types` says. */
  readonly keyOf: (number: number) => TestRow;
  /** At least two cells that the first value column can hold, NULL among them, no two of them identical, however alike. */
  readonly values: readonly Cell[];
  /** False where the database refuses U+0000 in text; true when left out. Said in the names of the tests that leave such texts out. */
  readonly textHoldsNul?: boolean;
  /** False for a source without `countUncovered`, whose datasets can't have plaintext columns; true when left out. */
  readonly hasPlaintext?: boolean;
  /** At least two cells that the context columns can hold, likewise; NULL and others among them. */
  readonly contexts: readonly Cell[];
}

/** Runs a test on a new table with these rows, and cleans up. */
export async function withSource(
  suite: DatasetSourceSuite,
  rows: readonly TestRow[],
  test: (source: DatasetSource, table: TestTable) => Promise<void>,
): Promise<void> {
  const table = await suite.createTable();
  try {
    await table.insert(rows);
    const source = await table.openSource(suite.layout);
    try {
      await test(source, table);
    } finally {
      await source.close();
    }
  } finally {
    await table.drop();
  }
}

/** The work fails with a KeysteadError of this code. */
export async function failsWith(code: ErrorCode, work: () => Promise<unknown>, message = /./): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Error);
    assert.equal("code" in error ? error.code : undefined, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}
