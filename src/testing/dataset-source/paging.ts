import assert from "node:assert/strict";
import type { Cursor, SourceRow } from "../../datasets/source.ts";
import {
  assertSameRows,
  cellText,
  indexColumnOf,
  keyOfRow,
  readAll,
  rowText,
  sampleRow,
  sampleRows,
  textCell,
  valueColumnOf,
} from "./samples.ts";
import { type DatasetSourceSuite, failsWith, withSource } from "./suite.ts";

const rowCount = 60;

/** Reading every row, page by page. */
export function testPaging(suite: DatasetSourceSuite): void {
  const { it, layout } = suite;
  const rows = sampleRows(suite, rowCount);
  const columns = [indexColumnOf(suite), valueColumnOf(suite)];

  for (const limit of [1, 2, 7, rowCount - 1, rowCount, rowCount + 1]) {
    it(`gives every row once and exactly as it is stored, ${String(limit)} at a time`, () =>
      withSource(suite, rows, async (source) => {
        assertSameRows(
          (await readAll(source, limit)).map(({ cells }) => cells),
          rows,
        );
      }));
  }

  it("gives an empty last page for an empty table", () =>
    withSource(suite, [], async (source) => {
      assert.deepEqual(await source.readPage(undefined, 10), { rows: [], next: undefined });
    }));

  it("says with the last row that there is no further one", () =>
    withSource(suite, sampleRows(suite, 4), async (source) => {
      const { next } = await source.readPage(undefined, 2);
      const last = await source.readPage(next, 2);
      assert.deepEqual([last.rows.length, last.next], [2, undefined]);
    }));

  it("goes on from a cursor in another session, in the same order", () =>
    withSource(suite, rows, async (source, table) => {
      const all = await readAll(source, rowCount);
      const { next } = await source.readPage(undefined, 20);
      const other = await table.openSource(layout);
      const rest = await readAll(other, 7, next).finally(() => other.close());
      assert.deepEqual(
        rest.map(({ cells }) => rowText(cells)),
        all.slice(20).map(({ cells }) => rowText(cells)),
      );
    }));

  it("visits the rows that stay once, while others come and go", () =>
    withSource(suite, rows, async (source, table) => {
      const seen: SourceRow[] = [];
      for (let number = 0, cursor: Cursor | undefined; ; number += 2) {
        const page = await source.readPage(cursor, 3);
        seen.push(...page.rows);
        if (page.next === undefined) break;
        cursor = page.next;
        if (number < rowCount) await table.remove(suite.keyOf(number));
        await table.insert([sampleRow(suite, rowCount + number)]);
        if (number > 10 * rowCount) assert.fail("the end is never reached");
      }
      const stayed = rows.filter((_, number) => number % 2 === 1).map((row) => rowText(keyOfRow(suite, row)));
      const visits = seen.map(({ cells }) => rowText(keyOfRow(suite, cells))).filter((key) => stayed.includes(key));
      assert.deepEqual(visits.sort(), stayed.sort());
    }));

  for (const [size, limit] of [
    [1, 5],
    [7, 3],
    [7, 7],
    [20, 100],
    [rowCount, 9],
    [rowCount + 1, 9],
  ] as const) {
    it(`is divided in parts of ${String(size)} rows, read ${String(limit)} at a time, that hold each row once`, () =>
      withSource(suite, rows, async (source) => {
        const all = await readAll(source, rowCount);
        const parts: SourceRow[][] = [];
        let cursor: Cursor | undefined;
        do {
          const until: Cursor | undefined = await source.skip(cursor, size);
          parts.push(await readAll(source, limit, cursor, until));
          cursor = until;
        } while (cursor !== undefined);
        assert.deepEqual(
          parts.map((part) => part.map(({ cells }) => rowText(cells))).filter((part) => part.length > 0),
          Array.from({ length: Math.ceil(rowCount / size) }, (_, place) =>
            all.slice(place * size, (place + 1) * size).map(({ cells }) => rowText(cells)),
          ),
        );
      }));
  }

  it("ends a part where it was to end, also when the row there is gone", () =>
    withSource(suite, rows, async (source, table) => {
      const until = await source.skip(undefined, 20);
      const part = await readAll(source, rowCount, undefined, until);
      assert.equal(part.length, 20);
      const last = part.at(-1)?.cells ?? {};
      await table.remove(keyOfRow(suite, last));
      const rest = await readAll(source, 7, undefined, until);
      assert.deepEqual(
        rest.map(({ cells }) => rowText(cells)),
        part.slice(0, -1).map(({ cells }) => rowText(cells)),
      );
      assert.deepEqual(await source.readPage(until, 1, until), { rows: [], next: undefined });
    }));

  for (const limit of [1, 7, rowCount]) {
    it(`gives the rows of some tokens once and in key order, ${String(limit)} at a time`, () =>
      withSource(suite, [], async (source, table) => {
        const tokens = ["1.AAAA", "1.BBBB", "2.CCCC"];
        await table.insert(rows.map((row, number) => ({ ...row, [indexColumnOf(suite)]: textCell(tokens[number % 3] ?? "") })));
        const sought = tokens.slice(1);
        const wanted = (await readAll(source, rowCount)).filter(({ cells }) =>
          sought.some((token) => cellText(cells[indexColumnOf(suite)]) === cellText(textCell(token))),
        );
        const found: SourceRow[] = [];
        let cursor: Cursor | undefined;
        do {
          const page = await source.findByTokens([{ column: indexColumnOf(suite), tokens: sought }], cursor, limit);
          assert.ok(page.rows.length <= limit);
          found.push(...page.rows);
          cursor = page.next;
        } while (cursor !== undefined);
        assert.deepEqual(
          found.map(({ cells }) => rowText(cells)),
          wanted.map(({ cells }) => rowText(cells)),
        );
      }));
  }

  it("refuses a cursor that it didn't make, and a page of no rows", () =>
    withSource(suite, sampleRows(suite, 1), async (source) => {
      await failsWith("INVALID_ARGUMENT", () => source.readPage("nonsense", 1), /cursor/);
      await failsWith("INVALID_ARGUMENT", () => source.readPage("[]", 1), /cursor/);
      await failsWith(
        "INVALID_ARGUMENT",
        () => source.findByTokens([{ column: indexColumnOf(suite), tokens: ["1.AAAA"] }], "nonsense", 1),
        /cursor/,
      );
      await failsWith("INVALID_ARGUMENT", () => source.readPage(undefined, 1, "nonsense"), /cursor/);
      await failsWith("INVALID_ARGUMENT", () => source.skip("nonsense", 1), /cursor/);
      await failsWith("INVALID_ARGUMENT", () => source.readPage(undefined, 0), /limit/);
      await failsWith("INVALID_ARGUMENT", () => source.skip(undefined, 0), /limit/);
    }));

  it("reads the values of columns in key order, up to a limit", () =>
    withSource(suite, rows, async (source) => {
      const wanted = (await readAll(source, rowCount)).map(({ cells }) => columns.map((column) => cellText(cells[column])));
      for (const limit of [0, 1, rowCount - 1, rowCount, 2 * rowCount]) {
        const values: string[][] = [];
        for await (const cells of source.readValues(columns, limit)) values.push(cells.map(cellText));
        assert.deepEqual(values, wanted.slice(0, limit));
      }
    }));
}
