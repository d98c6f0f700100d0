import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { RowLocator } from "../../../src/datasets/sqlite/row-locator.ts";
import { SqliteConnection } from "../../../src/datasets/sqlite/sqlite-connection.ts";
import { readSchema } from "../../../src/datasets/sqlite/table-facts.ts";
import type { Cell } from "../../../src/datasets/source.ts";
import { assertSameRows, readAll } from "../../../src/testing/dataset-source/samples.ts";
import { anyCell, integer, rawText, text } from "./cells.ts";
import { createTable, insertRow, layoutOf } from "./database.ts";

const collation = fc.constantFrom("BINARY", "NOCASE", "RTRIM");
const column = fc.record({
  type: fc.constantFrom("", "TEXT", "BLOB", "NUMERIC", "INT", "REAL"),
  collation,
  keyCollation: collation,
  direction: fc.constantFrom("ASC", "DESC"),
});
const cells = fc.tuple(anyCell, anyCell, anyCell);

const randomTable = fc.record({
  columns: fc.array(column, { minLength: 1, maxLength: 3 }),
  withoutRowid: fc.boolean(),
  // Drawing from few cells makes rows that differ in their last column only.
  keys: fc.oneof(
    fc.array(cells, { maxLength: 40 }),
    fc.uniqueArray(anyCell, { minLength: 3, maxLength: 3 }).chain((few) => {
      const one = fc.constantFrom(...few);
      return fc.array(fc.tuple(one, one, one), { maxLength: 40 });
    }),
  ),
  limit: fc.integer({ min: 1, max: 45 }),
});

describe("paging over SQLite tables", () => {
  it("visits every row exactly once, whatever the key, its types, collations and directions", async () => {
    await fc.assert(
      fc.asyncProperty(randomTable, async ({ columns, withoutRowid, keys, limit }) => {
        const names = columns.map((_, index) => `k${String(index)}`);
        const declared = columns.map((spec, index) => `k${String(index)} ${spec.type} COLLATE ${spec.collation} NOT NULL`);
        const terms = columns.map((spec, index) => `k${String(index)} COLLATE ${spec.keyCollation} ${spec.direction}`);
        const layout = layoutOf("t", { keyColumns: names, valueColumns: ["v"] });
        const sql = `CREATE TABLE t(${declared.join(", ")}, v, PRIMARY KEY (${terms.join(", ")}))${withoutRowid ? " WITHOUT ROWID" : ""}`;
        const { database, openSource, read, drop } = await createTable(sql, layout);
        try {
          for (const key of keys)
            insertRow(database, "t", Object.fromEntries(names.map((name, index) => [name, key[index] ?? integer(0)])), "OR IGNORE");
          const source = await openSource(layout);
          const rows = await readAll(source, limit).finally(() => source.close());
          assertSameRows(
            rows.map((row) => row.cells),
            await read(),
          );
        } finally {
          await drop();
        }
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [
      "composite primary key",
      "CREATE TABLE t(a TEXT, b INT, v, PRIMARY KEY (a, b)); INSERT INTO t VALUES (NULL, NULL, 1), ('x', NULL, 2), (NULL, NULL, 3), ('x', 1, 4), (NULL, 1, 5)",
      ["a", "b"],
    ],
    [
      "integer primary key that is no rowid",
      "CREATE TABLE t(a INTEGER PRIMARY KEY DESC, v); INSERT INTO t VALUES (NULL, 1), (5, 2), (NULL, 3), (1, 4)",
      ["a"],
    ],
  ])("doesn't skip rows whose key is NULL: %s", async (_, sql, keyColumns) => {
    const layout = layoutOf("t", { keyColumns, valueColumns: ["v"] });
    const { openSource, drop, read } = await createTable(sql, layout);
    try {
      const source = await openSource(layout);
      for (const limit of [1, 2, 3, 5])
        assertSameRows(
          (await readAll(source, limit)).map((row) => row.cells),
          await read(),
        );
      await source.close();
    } finally {
      await drop();
    }
  });

  it("covers the smallest and the largest rowid", async () => {
    const layout = layoutOf("t", { valueColumns: ["v"] });
    const sql =
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (-9223372036854775808, 1), (0, 2), (9223372036854775807, 3)";
    const { openSource, drop, read } = await createTable(sql, layout);
    try {
      const source = await openSource(layout);
      for (const limit of [1, 2, 3])
        assertSameRows(
          (await readAll(source, limit)).map((row) => row.cells),
          await read(),
        );
      expect(await source.countHeaders()).toEqual([{ column: "v", kind: "plaintext", count: 3 }]);
      await source.close();
    } finally {
      await drop();
    }
  });

  it("ends a page early when its cells are very large, and loses none", async () => {
    const layout = layoutOf("t", { valueColumns: ["v"], indexColumns: ["x"] });
    const { openSource, drop, insert } = await createTable("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB, x TEXT)", layout);
    try {
      const large: Cell = { type: "blob", bytes: new Uint8Array(10 * 2 ** 20) };
      await insert(Array.from({ length: 9 }, (_, id) => ({ id: integer(id), v: large, x: text("1.AAAA") })));
      const source = await openSource(layout);
      const first = await source.readPage(undefined, 100);
      expect(first.rows.length).toBeLessThan(9);
      const rest = await readAll(source, 100, first.next);
      expect([...first.rows, ...rest].map(({ cells: row }) => row["id"])).toEqual(Array.from({ length: 9 }, (_, id) => integer(id)));
      const sizes: number[] = [];
      for (let cursor: string | undefined; sizes.length === 0 || cursor !== undefined;) {
        const page = await source.findByTokens([{ column: "x", tokens: ["1.AAAA"] }], cursor, 100);
        sizes.push(page.rows.length);
        cursor = page.next;
      }
      expect({ pages: sizes.length > 1, rows: sizes.reduce((sum, size) => sum + size) }).toEqual({ pages: true, rows: 9 });
      await source.close();
    } finally {
      await drop();
    }
  });

  it("reads a page that has text which is not UTF-8 exactly, in keys as well", async () => {
    const layout = layoutOf("t", { valueColumns: ["v"] });
    const { openSource, drop, insert, read } = await createTable("CREATE TABLE t(id TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID", layout);
    try {
      const rows = [0xfd, 0xfe, 0xff, 0x41].map((byte) => ({ id: rawText(byte, byte), v: rawText(0x41, byte) }));
      await insert(rows);
      const source = await openSource(layout);
      for (const limit of [1, 2, 4])
        assertSameRows(
          (await readAll(source, limit)).map((row) => row.cells),
          await read(),
        );
      await source.close();
    } finally {
      await drop();
    }
  });

  it.each([
    ["rowid", "CREATE TABLE t(a TEXT PRIMARY KEY, v)", ["a"]],
    ["composite primary key", "CREATE TABLE t(a, b, c, v, PRIMARY KEY (a, b, c)) WITHOUT ROWID", ["a", "b", "c"]],
    [
      "collations of the columns",
      "CREATE TABLE t(a TEXT COLLATE NOCASE, b TEXT COLLATE RTRIM, v, PRIMARY KEY (a, b)) WITHOUT ROWID",
      ["a", "b"],
    ],
    [
      "collations of the key",
      "CREATE TABLE t(a TEXT, b TEXT, v, PRIMARY KEY (a COLLATE NOCASE, b COLLATE RTRIM)) WITHOUT ROWID",
      ["a", "b"],
    ],
    ["mixed directions", "CREATE TABLE t(a TEXT, b INT, c REAL, v, PRIMARY KEY (a DESC, b, c DESC)) WITHOUT ROWID", ["a", "b", "c"]],
  ])("seeks in the index and never sorts: %s", async (_, sql, keyColumns) => {
    const layout = layoutOf("t", { keyColumns, valueColumns: ["v"] });
    const { url, drop } = await createTable(sql, layout);
    const connection = await SqliteConnection.open(url, { clock: systemClock, patience: 0 });
    try {
      const facts = readSchema(connection, "t").table;
      if (facts === undefined) throw new Error("there is no table");
      const locator = new RowLocator(layout, facts);
      const plan = (clauses: string): string[] =>
        connection.all(`EXPLAIN QUERY PLAN SELECT * FROM t ${clauses}`).map((row) => String(row[3]));
      const seeks = [expect.stringMatching(/^SEARCH t USING (?:PRIMARY KEY|INTEGER PRIMARY KEY)/)];
      const ranges = locator.rangesAfter(Array.from({ length: locator.orderLength }, () => rawText(0x41)));
      expect(ranges).toHaveLength(locator.orderLength);
      for (const { where } of ranges) expect(plan(`WHERE ${where} ORDER BY ${locator.order} LIMIT 5`)).toEqual(seeks);
      expect(plan(`WHERE ${locator.match(locator.values.map(() => "text"))}`)).toEqual(seeks);
      expect(plan(`WHERE TRUE ORDER BY ${locator.order} LIMIT 5`)).toEqual(["SCAN t"]);
    } finally {
      connection.close();
      await drop();
    }
  });

  it.each([
    ["rowid", "CREATE TABLE t(a TEXT PRIMARY KEY, v, x, y)"],
    ["primary key", "CREATE TABLE t(a TEXT PRIMARY KEY, v, x, y) WITHOUT ROWID"],
  ])("looks up the tokens of two columns in their indexes: %s", async (_, sql) => {
    const layout = layoutOf("t", { keyColumns: ["a"], valueColumns: ["v"], indexColumns: ["x", "y"] });
    const { url, drop } = await createTable(`${sql}; CREATE INDEX by_x ON t(x); CREATE INDEX by_y ON t(y)`, layout);
    const connection = await SqliteConnection.open(url, { clock: systemClock, patience: 0 });
    try {
      const facts = readSchema(connection, "t").table;
      if (facts === undefined) throw new Error("there is no table");
      const locator = new RowLocator(layout, facts);
      const where = locator.union(
        "t",
        ["x", "y"].map((column) => `${column} IN (SELECT value FROM json_each('["1.AAAA"]'))`),
      );
      const ranges = [...locator.rangesAfter([rawText(0x41)]), ...locator.rangesAfter(undefined)];
      for (const range of ranges) {
        const steps = connection
          .all(`EXPLAIN QUERY PLAN SELECT * FROM t WHERE ${where} AND ${range.where} ORDER BY ${locator.sortedOrder} LIMIT 5`)
          .map((row) => String(row[3]));
        expect(steps.filter((step) => step.startsWith("SCAN t"))).toEqual([]);
        expect(steps.filter((step) => / USING (?:COVERING )?INDEX by_[xy] /.test(step))).toHaveLength(2);
      }
    } finally {
      connection.close();
      await drop();
    }
  });
});
