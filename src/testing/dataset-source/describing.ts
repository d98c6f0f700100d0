import assert from "node:assert/strict";
import type { SourceLayout } from "../../datasets/source.ts";
import { canonicalText } from "../../fields/canonical-text.ts";
import { cellValue } from "../../fields/stored-cell.ts";
import { readAll, sampleRows } from "./samples.ts";
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

  it("says what the declarations of key and context columns mean", () =>
    withSource(suite, [], async (source) => {
      const { types } = await source.describe();
      const canonical = Object.fromEntries(Object.entries(types).map(([column, type]) => [column, type.canonical]));
      assert.deepEqual(canonical, { ...suite.types });
      const columns = new Set([...layout.keyColumns, ...layout.contextColumns]);
      assert.deepEqual(Object.keys(types).sort(), [...columns].sort());
    }));

  it("gives values of such a type as cells that have a canonical text", () =>
    withSource(suite, sampleRows(suite, 30), async (source) => {
      const { types } = await source.describe();
      for (const { cells } of await readAll(source, 100)) {
        for (const column of layout.keyColumns) {
          const type = types[column]?.canonical;
          const cell = cells[column];
          assert.ok(cell !== undefined);
          if (type !== undefined) canonicalText(cellValue(cell, column), column, type);
        }
      }
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
