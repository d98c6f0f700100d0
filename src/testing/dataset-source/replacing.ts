import assert from "node:assert/strict";
import { sealedFor } from "./ciphertext.ts";
import {
  assertSameRows,
  cellText,
  indexColumnOf,
  keyOfRow,
  nullCell,
  readAll,
  replacement,
  rowsWith,
  rowText,
  sampleRows,
  textCell,
  valueColumnOf,
} from "./samples.ts";
import { type DatasetSourceSuite, failsWith, withSource } from "./suite.ts";

/** Compare-and-set: a row is replaced exactly when it still is what was read. */
export function testReplacing(suite: DatasetSourceSuite): void {
  const { it, layout, values, contexts } = suite;
  const valueColumn = valueColumnOf(suite);
  const indexColumn = indexColumnOf(suite);
  const withEveryValue = rowsWith(suite, valueColumn, values);
  const wrong = sealedFor(suite, "wrong");

  it("replaces what is as expected, and nothing else", () =>
    withSource(suite, withEveryValue, async (source, table) => {
      const rows = await readAll(source, 1000);
      const cells = rows.map((_, index) => sealedFor(suite, String(index)));
      const outcomes = await source.replace(rows.map((row, index) => replacement(suite, row, cells[index] ?? nullCell)));
      assert.deepEqual(
        outcomes,
        rows.map(() => "replaced"),
      );
      assertSameRows(
        await table.read(),
        rows.map((row, index) => ({ ...row.cells, [valueColumn]: cells[index] ?? nullCell })),
      );
    }));

  it("writes every cell that the column can hold", () =>
    withSource(suite, sampleRows(suite, values.length), async (source, table) => {
      const rows = await readAll(source, 1000);
      const outcomes = await source.replace(rows.map((row, index) => replacement(suite, row, values[index] ?? nullCell)));
      assert.deepEqual(
        outcomes,
        rows.map(() => "replaced"),
      );
      assertSameRows(
        await table.read(),
        rows.map((row, index) => ({ ...row.cells, [valueColumn]: values[index] ?? nullCell })),
      );
    }));

  it("changes value and token of a row together", () =>
    withSource(suite, sampleRows(suite, 2), async (source, table) => {
      const [row, other] = await readAll(source, 2);
      assert.ok(row !== undefined && other !== undefined);
      const set = { [valueColumn]: sealedFor(suite, "both"), [indexColumn]: textCell("7.AgAA") };
      assert.deepEqual(await source.replace([{ locator: row.locator, expected: row.cells, set }]), ["replaced"]);
      assertSameRows(await table.read(), [{ ...row.cells, ...set }, other.cells]);
    }));

  it("leaves a row alone that holds anything else than expected, however alike", () =>
    withSource(suite, withEveryValue, async (source, table) => {
      const rows = await readAll(source, 1000);
      for (const expected of values) {
        const others = rows.filter(({ cells }) => cellText(cells[valueColumn]) !== cellText(expected));
        const outcomes = await source.replace(
          others.map((row) => ({ ...replacement(suite, row, wrong), expected: { ...row.cells, [valueColumn]: expected } })),
        );
        assert.deepEqual(
          outcomes,
          others.map(() => "changed"),
          `expected ${cellText(expected)}`,
        );
      }
      assertSameRows(await table.read(), withEveryValue);
    }));

  it("leaves a row alone whose context columns changed", () =>
    withSource(suite, sampleRows(suite, contexts.length), async (source, table) => {
      const column = layout.contextColumns.find((name) => !layout.keyColumns.includes(name)) ?? "";
      const rows = await readAll(source, 1000);
      for (const { cells } of rows) {
        const other = contexts.find((cell) => cellText(cell) !== cellText(cells[column]));
        await table.update(keyOfRow(suite, cells), { [column]: other ?? nullCell });
      }
      const before = await table.read();
      const outcomes = await source.replace(rows.map((row) => replacement(suite, row, wrong)));
      assert.deepEqual(
        outcomes,
        rows.map(() => "changed"),
      );
      assertSameRows(await table.read(), before);
    }));

  it("says of each row what became of it, in order", () =>
    withSource(suite, sampleRows(suite, 6), async (source, table) => {
      const rows = await readAll(source, 6);
      const [first, gone, , changed] = rows;
      assert.ok(first !== undefined && gone !== undefined && changed !== undefined);
      const kept = sealedFor(suite, "by the application");
      await table.remove(keyOfRow(suite, gone.cells));
      await table.update(keyOfRow(suite, changed.cells), { [valueColumn]: kept });
      const outcomes = await source.replace([...rows, first].map((row) => replacement(suite, row, sealedFor(suite, "by the job"))));
      assert.deepEqual(outcomes, ["replaced", "changed", "replaced", "changed", "replaced", "replaced", "changed"]);
      const wanted = rows
        .filter((row) => row !== gone)
        .map((row) => ({ ...row.cells, [valueColumn]: row === changed ? kept : sealedFor(suite, "by the job") }));
      assertSameRows(await table.read(), wanted);
    }));

  it("doesn't mistake another row for one that is gone", () =>
    withSource(suite, sampleRows(suite, 1), async (source, table) => {
      const [row] = await readAll(source, 1);
      assert.ok(row !== undefined);
      await table.remove(suite.keyOf(0));
      const other = { ...row.cells, ...suite.keyOf(1) };
      await table.insert([other]);
      assert.deepEqual(await source.replace([replacement(suite, row, wrong)]), ["changed"]);
      assert.deepEqual((await table.read()).map(rowText), [rowText(other)]);
    }));

  it("refuses to write columns that hold neither ciphertext nor tokens", () =>
    withSource(suite, sampleRows(suite, 1), async (source, table) => {
      const [row] = await readAll(source, 1);
      assert.ok(row !== undefined);
      await failsWith("INVALID_ARGUMENT", () => source.replace([{ ...replacement(suite, row, wrong), set: suite.keyOf(7) }]), /layout/);
      await failsWith("INVALID_ARGUMENT", () => source.replace([{ ...replacement(suite, row, wrong), set: {} }]));
      assert.deepEqual((await table.read()).map(rowText), [rowText(row.cells)]);
    }));

  it("does nothing for an empty list", () =>
    withSource(suite, [], async (source) => {
      assert.deepEqual(await source.replace([]), []);
    }));
}
