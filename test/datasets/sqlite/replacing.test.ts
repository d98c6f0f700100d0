import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isKeysteadError } from "../../../src/errors.ts";
import type { Cell, DatasetSource, ReplaceOutcome, SourceLayout, SourceRow } from "../../../src/datasets/source.ts";
import { cellText, nullCell, readAll } from "../../../src/testing/dataset-source/samples.ts";
import { anyCell, integer, nothing, real, text } from "./cells.ts";
import { createTable, insertRow, layoutOf, readRows } from "./database.ts";

const layout = layoutOf("t", { valueColumns: ["v"], contextColumns: ["c"] });
const types = ["", "TEXT", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "BLOB", "NUMERIC", "INTEGER", "REAL", "BLOB COLLATE NOCASE"];

/** Runs `work` with a source on a table made by some SQL. */
async function onTable(
  sql: string,
  work: (source: DatasetSource, table: Awaited<ReturnType<typeof createTable>>) => Promise<void>,
  other = layout,
): Promise<void> {
  const table = await createTable(sql, other);
  const source = await table.openSource(other);
  try {
    await work(source, table);
  } finally {
    await source.close();
    await table.drop();
  }
}

function rowsOf(source: DatasetSource): Promise<SourceRow[]> {
  return readAll(source, 1000);
}

function setAll(
  rows: readonly SourceRow[],
  cell: Cell,
  column = "v",
): { locator: Cell[]; expected: SourceRow["cells"]; set: Record<string, Cell> }[] {
  return rows.map(({ locator, cells }) => ({ locator, expected: cells, set: { [column]: cell } }));
}

function outcomeText(outcome: ReplaceOutcome): string {
  return typeof outcome === "string" ? outcome : `${outcome.error.code} ${outcome.error.message}`;
}

describe("compare-and-set on SQLite", () => {
  for (const type of types) {
    it(`replaces exactly when the cell is identical: column ${type === "" ? "without a type" : type}`, () =>
      onTable(
        `CREATE TABLE t(id INTEGER PRIMARY KEY, v ${type}, c ${type}); CREATE TABLE scratch(v ${type})`,
        async (source, { database }) => {
          const stored = (cell: Cell): Cell => {
            database.exec("DELETE FROM scratch");
            insertRow(database, "scratch", { v: cell });
            return readRows(database, "scratch", ["v"])[0]?.["v"] ?? nullCell;
          };
          const sample = fc.record({
            current: anyCell,
            context: anyCell,
            // Mostly what is there, so that both outcomes are common.
            expected: fc.option(anyCell, { freq: 1 }),
            expectedContext: fc.option(anyCell, { freq: 1 }),
            next: anyCell,
          });
          let replaced = 0;
          await fc.assert(
            fc.asyncProperty(sample, async ({ current, context, expected, expectedContext, next }) => {
              database.exec("DELETE FROM t");
              insertRow(database, "t", { id: integer(1), v: current, c: context });
              const [row] = await rowsOf(source);
              if (row === undefined) throw new Error("the row is gone");
              const [before, beforeContext] = [row.cells["v"] ?? nullCell, row.cells["c"] ?? nullCell];
              const wanted = { v: expected ?? before, c: expectedContext ?? beforeContext };
              const [outcome] = await source.replace([{ locator: row.locator, expected: wanted, set: { v: next } }]);
              const after = readRows(database, "t", ["v", "c"])[0];
              const identical = cellText(wanted.v) === cellText(before) && cellText(wanted.c) === cellText(beforeContext);
              const kept = cellText(stored(next)) === cellText(next);
              if (identical && kept) replaced++;
              expect(outcome === undefined ? "" : outcomeText(outcome).slice(0, 15)).toBe(
                !identical ? "changed" : kept ? "replaced" : "DATABASE_FAILED",
              );
              expect(cellText(after?.["v"])).toBe(cellText(identical && kept ? next : before));
              expect(cellText(after?.["c"])).toBe(cellText(beforeContext));
            }),
            { numRuns: 150 },
          );
          expect(replaced).toBeGreaterThan(5);
        },
      ));
  }

  it("refuses NaN, which SQLite would store as NULL", () =>
    onTable("CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); INSERT INTO t VALUES (1, 'a', 'b')", async (source, { read }) => {
      const [outcome] = await source.replace(setAll(await rowsOf(source), real(Number.NaN)));
      expect(outcome).toMatchObject({ error: { code: "DATABASE_FAILED" } });
      expect(cellText((await read())[0]?.["v"])).toBe(cellText(text("a")));
    }));

  it("keeps ciphertext as text in a numeric column", () =>
    onTable("CREATE TABLE t(id INTEGER PRIMARY KEY, v NUMERIC, c); INSERT INTO t VALUES (1, 5, 'b')", async (source, { read }) => {
      const sealed = text(`ks1:pii:1-k7f2qd:${"9".repeat(38)}`);
      expect(await source.replace(setAll(await rowsOf(source), sealed))).toEqual(["replaced"]);
      expect(cellText((await read())[0]?.["v"])).toBe(cellText(sealed));
    }));

  it("takes a row that got the rowid of another for a changed one", () =>
    onTable(
      "CREATE TABLE t(id TEXT PRIMARY KEY, v, c); INSERT INTO t VALUES ('a', 1, 1), ('b', 1, 1), ('c', 1, 1)",
      async (source, { database, read }) => {
        const rows = await rowsOf(source);
        database.exec("UPDATE t SET rowid = rowid - 1");
        // The rows differ in nothing but their keys.
        const outcomes = await source.replace(setAll(rows, text("x")).map((row) => ({ ...row, expected: { v: integer(1) } })));
        expect(outcomes).toEqual(["changed", "changed", "changed"]);
        expect((await read()).map((row) => cellText(row["v"]))).toEqual(rows.map(() => cellText(integer(1))));
      },
    ));
});

describe("rows that the database refuses", () => {
  const three = "INSERT INTO t VALUES (1, 'one', 'x'), (2, 'two', 'x'), (3, 'three', 'x')";
  const secret = "two";

  const cases: readonly (readonly [name: string, sql: string, message: RegExp])[] = [
    ["CHECK", `CREATE TABLE t(id INTEGER PRIMARY KEY, v CHECK (id <> 2 OR length(v) < 5), c); ${three}`, /CHECK constraint failed/],
    [
      "NOT NULL in a trigger's table",
      `CREATE TABLE log(x NOT NULL); CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r AFTER UPDATE ON t WHEN new.id = 2 BEGIN INSERT INTO log VALUES (NULL); END`,
      /NOT NULL constraint failed: log.x/,
    ],
    [
      "unique index on an expression",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE UNIQUE INDEX u ON t(CASE id WHEN 2 THEN substr(v, 1, 3) WHEN 0 THEN 'sea' ELSE id END); INSERT INTO t VALUES (0, 'sea', 'x')`,
      /UNIQUE constraint failed/,
    ],
    [
      "expression index on JSON",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE INDEX j ON t(iif(id = 2 AND length(v) > 5, json_extract(v, '$.a'), 1))`,
      /malformed JSON/,
    ],
    [
      "RAISE(ABORT)",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r BEFORE UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(ABORT, 'no ' || old.v); END`,
      /trigger/,
    ],
    [
      "RAISE that looks like SQLite itself",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r BEFORE UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: ' || old.v); END`,
      /trigger/,
    ],
    [
      "RAISE(FAIL)",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r AFTER UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(FAIL, 'no ' || old.v); END`,
      /trigger/,
    ],
    [
      "RAISE(ROLLBACK)",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r AFTER UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(ROLLBACK, 'no ' || old.v); END`,
      /trigger/,
    ],
    [
      "RAISE(IGNORE)",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TRIGGER r BEFORE UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(IGNORE); END`,
      /ignores the update/,
    ],
    [
      "NOT NULL ON CONFLICT IGNORE",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TABLE u(x CHECK (x <> 2)); CREATE TRIGGER r AFTER UPDATE ON t BEGIN INSERT INTO u VALUES (new.id); END`,
      /CHECK constraint failed/,
    ],
    [
      "deferred foreign key",
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three}; CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE u(x REFERENCES p DEFERRABLE INITIALLY DEFERRED); CREATE TRIGGER r AFTER UPDATE ON t WHEN new.id = 2 BEGIN INSERT INTO u VALUES (7); END`,
      /FOREIGN KEY constraint failed/,
    ],
  ];

  it.each(cases)("report an error, and the others are replaced: %s", (_, sql, message) =>
    onTable(sql, async (source, { read }) => {
      const rows = (await rowsOf(source)).filter(({ cells }) => cellText(cells["id"]) !== cellText(integer(0)));
      const outcomes = await source.replace(setAll(rows, text("sealed")));
      expect(outcomes.map((outcome) => typeof outcome === "string")).toEqual([true, false, true]);
      expect([outcomes[0], outcomes[2]]).toEqual(["replaced", "replaced"]);
      const failure = outcomes[1];
      const error = typeof failure === "object" ? failure.error : undefined;
      expect(isKeysteadError(error, "DATABASE_FAILED")).toBe(true);
      expect(error?.message).toMatch(message);
      expect(`${error?.message ?? ""} ${inspect(error?.cause)}`).not.toContain(secret);
      const after = (await read()).filter((row) => cellText(row["id"]) !== cellText(integer(0)));
      expect(after.map((row) => cellText(row["v"]))).toEqual([text("sealed"), text("two"), text("sealed")].map(cellText));
    }),
  );

  it("report an error where the STRICT type refuses the cell", () =>
    onTable(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, c TEXT) STRICT; INSERT INTO t VALUES (1, 'one', 'x')",
      async (source, { read }) => {
        const [outcome] = await source.replace(setAll(await rowsOf(source), { type: "blob", bytes: Buffer.of(1) }));
        expect(outcome).toMatchObject({
          error: { code: "DATABASE_FAILED", message: expect.stringMatching(/cannot store BLOB value in TEXT column/) as string },
        });
        expect(cellText((await read())[0]?.["v"])).toBe(cellText(text("one")));
      },
    ));

  it("are no others than those whose tokens clash in a unique index column", () => {
    const indexed: SourceLayout = { ...layout, indexColumns: ["x"] };
    return onTable(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, v, c, x TEXT UNIQUE); INSERT INTO t(id) VALUES (1), (2), (3)",
      async (source, { read }) => {
        const outcomes = await source.replace(setAll(await rowsOf(source), text("1.AAAA"), "x"));
        expect(outcomes.map(outcomeText)).toEqual([
          "replaced",
          expect.stringMatching(/UNIQUE constraint failed/),
          expect.stringMatching(/UNIQUE constraint failed/),
        ]);
        expect((await read()).map((row) => cellText(row["x"]))).toEqual([text("1.AAAA"), nothing, nothing].map(cellText));
      },
      indexed,
    );
  });

  it("leave no trace of what triggers did for them", () =>
    onTable(
      `CREATE TABLE log(id, what); CREATE TABLE t(id INTEGER PRIMARY KEY, v, c); ${three};
       CREATE TRIGGER r1 BEFORE UPDATE ON t BEGIN INSERT INTO log VALUES (new.id, 'begun'); END;
       CREATE TRIGGER r2 AFTER UPDATE ON t WHEN new.id = 2 BEGIN SELECT RAISE(FAIL, 'no'); END`,
      async (source, { database }) => {
        await source.replace(setAll(await rowsOf(source), text("sealed")));
        expect(
          database
            .prepare("SELECT id FROM log ORDER BY id")
            .all()
            .map((row) => row["id"]),
        ).toEqual([1n, 3n]);
      },
    ));
});
