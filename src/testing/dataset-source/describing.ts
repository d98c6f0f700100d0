import assert from "node:assert/strict";
import type { SourceLayout } from "../../datasets/source.ts";
import { sampleRows } from "./samples.ts";
import { type DatasetSourceSuite, failsWith, type TestTable, withSource } from "./suite.ts";

/** Looking at the table, and the end of a source. */
export function testDescribing(suite: DatasetSourceSuite): void {
  const { it, layout } = suite;

  const describeLayout = async (table: TestTable, other: SourceLayout): Promise<unknown> => {
    const source = await table.openSource(other);
    return source.describe().finally(() => source.close());
  };

  it("says the form of each value column and the number of rows", () =>
    withSource(suite, sampleRows(suite, 3), async (source) => {
      const { forms, rows } = await source.describe();
      assert.deepEqual({ ...forms }, { ...suite.forms });
      assert.equal(rows, 3);
    }));

  it("refuses a table that doesn't exist, naming it", () =>
    withSource(suite, [], async (_, table) => {
      await failsWith("DATASET_UNSUITABLE", () => describeLayout(table, { ...layout, table: "nobodys_table" }), /"nobodys_table"/);
    }));

  for (const role of ["keyColumns", "valueColumns", "contextColumns", "indexColumns"] as const) {
    it(`refuses ${role} that don't exist, naming them`, () =>
      withSource(suite, [], async (_, table) => {
        const missing = { ...layout, [role]: [...layout[role], "nobodys_column"] };
        await failsWith("DATASET_UNSUITABLE", () => describeLayout(table, missing), /"nobodys_column"/);
      }));
  }

  it("refuses a key that is not unique", () =>
    withSource(suite, [], async (_, table) => {
      const ambiguous = { ...layout, keyColumns: layout.contextColumns.slice(-1), contextColumns: [] };
      await failsWith("DATASET_UNSUITABLE", () => describeLayout(table, ambiguous), /unique/);
    }));

  it("is of no more use after closing, which may be done twice", () =>
    withSource(suite, sampleRows(suite, 1), async (source) => {
      await source.close();
      await source.close();
      await failsWith("CLOSED", () => source.readPage(undefined, 1));
      await failsWith("CLOSED", () => source.countHeaders());
      await failsWith("CLOSED", () => source.describe());
    }));
}
