import assert from "node:assert/strict";
import type { DatasetSource, SourceLayout, SourceRow } from "../../datasets/source.ts";
import { sealedFor } from "./ciphertext.ts";
import { assertSameRows, cellText, keyOfRow, nullCell, readAll, sampleRows, valueColumnOf } from "./samples.ts";
import { type DatasetSourceSuite, failsWith, type TestRow, type TestTable, withSource } from "./suite.ts";

/** Columns of plaintext beside their ciphertext. A context column of the suite's table serves as one. */
export function testPlaintext(suite: DatasetSourceSuite): void {
  const { it, contexts } = suite;
  const column = valueColumnOf(suite);
  const plaintext = suite.layout.contextColumns.find((name) => !suite.layout.keyColumns.includes(name)) ?? "";
  const layout: SourceLayout = {
    ...suite.layout,
    contextColumns: suite.layout.contextColumns.filter((name) => name !== plaintext),
    plaintextColumns: [plaintext],
  };
  const filled = contexts.filter(({ type }) => type !== "null");

  /** Rows whose plaintext is each of the suite's, with ciphertext beside it and without. */
  const rows = sampleRows(suite, contexts.length * 2).map((row, number) => ({
    ...row,
    [plaintext]: contexts[number >> 1] ?? nullCell,
    [column]: number % 2 === 0 ? nullCell : sealedFor(suite, String(number)),
  }));
  const test = (work: (source: DatasetSource, table: TestTable) => Promise<void>) => (): Promise<void> =>
    withSource({ ...suite, layout }, rows, work);
  const erase = ({ locator, cells }: SourceRow, expected: TestRow = cells): Parameters<DatasetSource["replace"]>[0][number] => ({
    locator,
    expected,
    set: { [plaintext]: nullCell },
  });

  it(
    "says what their declarations mean, and that they can be NULL",
    test(async (source) => {
      const { types, required = [] } = await source.describe();
      assert.equal(types[plaintext]?.canonical, suite.types[plaintext]);
      assert.deepEqual(required, []);
    }),
  );

  it(
    "reads them as they are",
    test(async (source) => {
      const read = await readAll(source, 3);
      assert.deepEqual(read.map(({ cells }) => cellText(cells[plaintext])).sort(), rows.map((row) => cellText(row[plaintext])).sort());
    }),
  );

  it(
    "writes NULL to them, alone and together with ciphertext",
    test(async (source, table) => {
      const read = await readAll(source, 1000);
      const sealed = sealedFor(suite, "together");
      const outcomes = await source.replace(
        read.map((row, number) => (number % 2 === 0 ? erase(row) : { ...erase(row), set: { [plaintext]: nullCell, [column]: sealed } })),
      );
      assert.deepEqual(
        outcomes,
        read.map(() => "replaced"),
      );
      assertSameRows(
        await table.read(),
        read.map(({ cells }, number) => ({ ...cells, [plaintext]: nullCell, ...(number % 2 === 1 && { [column]: sealed }) })),
      );
    }),
  );

  it(
    "leaves a row alone whose plaintext is another one, however alike",
    test(async (source, table) => {
      const read = await readAll(source, 1000);
      for (const other of contexts) {
        const others = read.filter(({ cells }) => cellText(cells[plaintext]) !== cellText(other));
        const outcomes = await source.replace(others.map((row) => erase(row, { ...row.cells, [plaintext]: other })));
        assert.deepEqual(
          outcomes,
          others.map(() => "changed"),
          `expected ${cellText(other)}`,
        );
      }
      assertSameRows(await table.read(), rows);
    }),
  );

  it(
    "leaves a row alone whose plaintext the application wrote meanwhile",
    test(async (source, table) => {
      const [row] = (await readAll(source, 1000)).filter(({ cells }) => cells[plaintext]?.type === "null");
      assert.ok(row !== undefined);
      await table.update(keyOfRow(suite, row.cells), { [plaintext]: filled[0] ?? nullCell });
      const replacement = { locator: row.locator, expected: row.cells, set: { [column]: sealedFor(suite, "stale") } };
      assert.deepEqual(await source.replace([replacement]), ["changed"]);
    }),
  );

  it(
    "refuses to write anything but NULL to them",
    test(async (source, table) => {
      const [row] = await readAll(source, 1000);
      assert.ok(row !== undefined);
      await failsWith("INVALID_ARGUMENT", () => source.replace([{ ...erase(row), set: { [plaintext]: filled[0] ?? nullCell } }]), /layout/);
      assertSameRows(await table.read(), rows);
    }),
  );

  it(
    "counts rows that have plaintext and no ciphertext",
    test(async (source, table) => {
      const shadowed = { plaintext, column };
      assert.deepEqual(await source.countUncovered?.([]), []);
      assert.deepEqual(await source.countUncovered?.([shadowed]), [filled.length]);
      assert.deepEqual(await source.countUncovered?.([shadowed, shadowed]), [filled.length, filled.length]);
      for (const row of rows) await table.update(keyOfRow(suite, row), { [plaintext]: nullCell });
      assert.deepEqual(await source.countUncovered?.([shadowed]), [0]);
      await failsWith("CANCELLED", async () => source.countUncovered?.([shadowed], AbortSignal.abort(new Error("by the test"))));
    }),
  );
}
