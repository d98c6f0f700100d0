import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64url } from "../../../src/crypto/base64url.ts";
import { isBase64urlFrom } from "../../../src/datasets/sqlite/base64url-check.ts";
import type { Cell, HeaderCount } from "../../../src/datasets/source.ts";
import { headerText, sealedCell } from "../../../src/testing/dataset-source/ciphertext.ts";
import { anyCell, integer, rawText, text } from "./cells.ts";
import { createTable, insertRow, layoutOf } from "./database.ts";

const layout = layoutOf("t", { valueColumns: ["v", "w"], indexColumns: ["x"] });
const numbers = (count: number): string => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${String(count)})`;

function tallyOf(counts: readonly HeaderCount[], column: string): Record<string, number> {
  const own = counts.filter((count) => count.column === column);
  const entries = own.map(({ kind, key, label, count }) => [key === undefined ? kind : `${kind} ${key} ${label ?? ""}`, count] as const);
  expect(new Set(entries.map(([name]) => name)).size).toBe(own.length);
  return Object.fromEntries(entries);
}

function tally(cells: readonly Cell[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const cell of cells) counts[headerText(cell)] = (counts[headerText(cell)] ?? 0) + 1;
  return counts;
}

/** Mostly one of the good ones, so that the whole is ciphertext often enough. */
function mostly(good: readonly string[], bad: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) });
}

const keyName = mostly(
  ["pii", "PII", "9", "a/b", "k".repeat(255), "a~"],
  ["a/b/c/d/e", "a//b", "", ".a", "k".repeat(256), "pï", "a b", "~"],
);
const label = mostly(
  ["1-k7f2qd", "2-k7f2qd", "2147483647-aaaaaa"],
  ["01-k7f2qd", "0-k7f2qd", "2147483648-aaaaaa", "1-K7F2QD", "1-k7f2q", "1-k7f2q01", "-1-k7f2qd", ""],
);
const alphabetCharacter = fc.constantFrom(..."ABCQgwIYo048kscUM9z-_".split(""));
const strayByte = fc.constantFrom(0x00, 0x0a, 0x20, 0x2b, 0x2f, 0x3a, 0x3d, 0x2e, 0x7f, 0x80, 0xc3, 0xff);
const magic = mostly(["ks1:", "ks1:", "ks1b:", "ks1s:"], ["KS1:", "ks2:", "KS1s:", ""]);
/** What a stream has before its sealed file key: mostly a length that there are as many bytes for. */
const fileKeyLength = mostly(["\0\x1c", "\0\x20", "\0\x22"], ["\0\x1b", "\0\x7f", "\x04\x01", "\0", "AAA"]);

/** Something near a ciphertext: of good or bad parts, and now and then a stray byte somewhere. */
const nearCiphertext = fc
  .record({
    parts: fc.tuple(magic, keyName, label),
    payload: fc.array(alphabetCharacter, { minLength: 34, maxLength: 46 }),
    length: fileKeyLength,
    stray: fc.option(fc.tuple(fc.nat(400), strayByte), { freq: 1 }),
    type: fc.constantFrom("text", "text", "blob"),
  })
  .map(({ parts: [begin, key, version], payload, length, stray, type }): Cell => {
    const bytes = Buffer.from(`${begin}${key}:${version}:${begin === "ks1s:" ? length : ""}${payload.join("")}`);
    if (stray !== null) bytes[stray[0] % bytes.length] = stray[1];
    return type === "text" ? { type: "text", bytes } : { type: "blob", bytes };
  });

describe("census of SQLite columns", () => {
  for (const type of ["TEXT", "TEXT COLLATE NOCASE", "BLOB", "NUMERIC", ""]) {
    it(`agrees with the strict parser about every value: column ${type === "" ? "without a type" : type}`, async () => {
      const { database, openSource, drop } = await createTable(`CREATE TABLE t(id INTEGER PRIMARY KEY, v ${type}, w, x TEXT)`, layout);
      try {
        const source = await openSource(layout);
        const cells = fc.array(
          fc.tuple(fc.oneof({ weight: 4, arbitrary: nearCiphertext }, { weight: 1, arbitrary: anyCell }), nearCiphertext),
          { minLength: 30, maxLength: 60 },
        );
        let ciphertexts = 0;
        await fc.assert(
          fc.asyncProperty(cells, async (rows) => {
            database.exec("BEGIN; DELETE FROM t");
            for (const [v, w] of rows) insertRow(database, "t", { v, w });
            database.exec("COMMIT");
            const counts = await source.countHeaders();
            expect(tallyOf(counts, "v")).toEqual(tally(rows.map(([v]) => v)));
            expect(tallyOf(counts, "w")).toEqual(tally(rows.map(([, w]) => w)));
            ciphertexts += counts.filter(({ kind }) => kind === "ciphertext").reduce((sum, { count }) => sum + count, 0);
          }),
          { numRuns: 40 },
        );
        expect(ciphertexts).toBeGreaterThan(50);
        await source.close();
      } finally {
        await drop();
      }
    });
  }

  it("checks base64url as decoding does", () => {
    const prefix = "héader:";
    const near = fc.array(
      fc.oneof(
        { weight: 20, arbitrary: alphabetCharacter },
        { weight: 1, arbitrary: fc.constantFrom("=", "+", "/", " ", "\0", "\n", "é", "\u{1f600}", "\ufffd") },
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(near, (characters) => {
        const tail = characters.join("");
        expect(isBase64urlFrom(prefix + tail, prefix.length)).toBe(decodeBase64url(tail) !== undefined);
      }),
      { numRuns: 2000 },
    );
  });

  it("looks at values of any size, short texts and long ones alike", async () => {
    const { openSource, drop, insert } = await createTable("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w BLOB, x TEXT)", layout);
    try {
      const payload = (length: number): Cell => text(`ks1:pii:1-k7f2qd:${"A".repeat(length)}`);
      const rows = [38, 39, 40, 32_748, 32_752, 32_753, 32_800, 2_000_000, 2_000_001].map((length): Cell => payload(length));
      const spoilt = [32_752, 2_000_000].map((length) => text(`ks1:pii:1-k7f2qd:${"A".repeat(length - 1)}=`));
      const large: Cell = { type: "blob", bytes: Buffer.concat([Buffer.from("ks1b:pii:1-k7f2qd:"), Buffer.alloc(3_000_000)]) };
      await insert([...rows, ...spoilt].map((v, id) => ({ id: integer(id), v, w: large })));
      const source = await openSource(layout);
      const counts = await source.countHeaders();
      expect(tallyOf(counts, "v")).toEqual(tally([...rows, ...spoilt]));
      expect(tallyOf(counts, "w")).toEqual({ "ciphertext pii 1-k7f2qd": 11 });
      await source.close();
    } finally {
      await drop();
    }
  });

  it("counts each row once across chunks, in both journal modes", async () => {
    for (const mode of ["WAL", "DELETE"]) {
      const sql = `PRAGMA journal_mode = ${mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, v, w, x TEXT); ${numbers(4321)} INSERT INTO t SELECT i * 7, iif(i % 3, 'ks1:a:' || (i % 3) || '-k7f2qd:' || printf('%.40c', 'A'), NULL), 'x', (i % 4) || '.AAAA' FROM n`;
      const { openSource, drop } = await createTable(sql, layout);
      try {
        const source = await openSource(layout);
        const counts = await source.countHeaders();
        expect(tallyOf(counts, "v")).toEqual({ null: 1440, "ciphertext a 1-k7f2qd": 1441, "ciphertext a 2-k7f2qd": 1440 });
        expect(tallyOf(counts, "w")).toEqual({ plaintext: 4321 });
        const generations = (await source.countGenerations()).map(({ generation, count }) => [generation, count]);
        expect(new Map(generations as [number, number][])).toEqual(
          new Map([
            [1, 1081],
            [2, 1080],
            [3, 1080],
            [-1, 1080],
          ]),
        );
        await source.close();
      } finally {
        await drop();
      }
    }
  });

  it("takes millions of headers that are none for plaintext, and refuses more real ones than there can be", async () => {
    const tail = "|| ':1-k7f2qd:' || printf('%.40c', 'A')";
    const sql = `CREATE TABLE t(id INTEGER PRIMARY KEY, v, w, x TEXT); ${numbers(30_000)} INSERT INTO t SELECT i, 'ks1:.' || i ${tail}, CAST('ks1b:/' || i ${tail} AS BLOB), i || '.A' FROM n`;
    const { database, openSource, drop } = await createTable(sql, layout);
    try {
      const source = await openSource(layout);
      expect(await source.countHeaders()).toEqual([
        { column: "v", kind: "plaintext", count: 30_000 },
        { column: "w", kind: "plaintext", count: 30_000 },
      ]);
      expect(await source.countGenerations()).toEqual([{ column: "x", generation: -1, count: 30_000 }]);
      database.exec(`UPDATE t SET v = 'ks1:k' || id ${tail}, x = id || '.AAAA' WHERE id <= 10000`);
      expect((await source.countHeaders()).length).toBe(10_002);
      database.exec(`UPDATE t SET w = CAST('ks1b:one-more' ${tail} AS BLOB), x = id || '.AAAA' WHERE id = 10001`);
      await expect(source.countHeaders()).rejects.toMatchObject({
        code: "DATABASE_FAILED",
        message: expect.stringMatching(/"w": more than 10000/) as string,
      });
      await expect(source.countGenerations()).rejects.toMatchObject({
        code: "DATABASE_FAILED",
        message: expect.stringMatching(/"x": more than 10000/) as string,
      });
      await source.close();
    } finally {
      await drop();
    }
  });

  it("sees one snapshot with a write-ahead log: a row that moves is neither missed nor counted twice", async () => {
    const sql = `PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v, w, x TEXT); ${numbers(5000)} INSERT INTO t SELECT i, 'x', 'x', NULL FROM n`;
    const { database, openSource, drop } = await createTable(sql, layout);
    try {
      const source = await openSource(layout);
      const counted = source.countHeaders();
      for (let turn = 0; turn < 3; turn++) await nextTurn();
      database.exec("UPDATE t SET id = -id WHERE id > 4000");
      expect(tallyOf(await counted, "v")).toEqual({ plaintext: 5000 });
      await source.close();
    } finally {
      await drop();
    }
  });

  it("lets the application write meanwhile without a write-ahead log, and starts again after a migration", async () => {
    const definition = "(id TEXT PRIMARY KEY, v, w, x TEXT)";
    const sql = `PRAGMA journal_mode = DELETE; CREATE TABLE t(id TEXT PRIMARY KEY, v, w, x TEXT); ${numbers(9000)} INSERT INTO t SELECT 'k' || i, 'x', 'x', NULL FROM n; DELETE FROM t WHERE rowid <= 3000`;
    const { database, openSource, drop } = await createTable(sql, layout);
    try {
      const source = await openSource(layout);
      let counting = true;
      const counted = source.countHeaders().finally(() => (counting = false));
      for (let turn = 0; turn < 3; turn++) await nextTurn();
      expect(counting).toBe(true);
      database.exec("UPDATE t SET w = 'y'");
      database.exec(
        `CREATE TABLE t2${definition}; INSERT INTO t2 SELECT * FROM t ORDER BY id DESC; DROP TABLE t; ALTER TABLE t2 RENAME TO t`,
      );
      expect(tallyOf(await counted, "v")).toEqual({ plaintext: 6000 });
      await source.close();
    } finally {
      await drop();
    }
  });

  it("stops between two chunks when it is cancelled", async () => {
    const { openSource, drop } = await createTable(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v, w, x TEXT); ${numbers(20_000)} INSERT INTO t(id) SELECT i FROM n`,
      layout,
    );
    try {
      const source = await openSource(layout);
      const controller = new AbortController();
      const counted = source.countHeaders(controller.signal);
      await nextTurn();
      controller.abort(new Error("enough"));
      await expect(counted).rejects.toMatchObject({ code: "CANCELLED", cause: controller.signal.reason as Error });
      expect((await source.countHeaders()).length).toBe(2);
      await source.close();
    } finally {
      await drop();
    }
  });

  it("treats text that is not UTF-8 or has an embedded NUL as plaintext", async () => {
    const { openSource, drop, insert } = await createTable("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w, x TEXT)", layout);
    try {
      const { bytes } = sealedCell("text", "a") as Extract<Cell, { type: "text" }>;
      await insert([
        { id: integer(1), v: rawText(...bytes) },
        { id: integer(2), v: rawText(...bytes, 0) },
        { id: integer(3), v: rawText(...bytes, 0, 0x41) },
        { id: integer(4), v: rawText(...bytes, 0xff) },
        { id: integer(5), v: rawText(0xef, 0xbb, 0xbf, ...bytes) },
      ]);
      const source = await openSource(layout);
      expect(tallyOf(await source.countHeaders(), "v")).toEqual({ "ciphertext pii-email 1-k7f2qd": 1, plaintext: 4 });
      await source.close();
    } finally {
      await drop();
    }
  });
});
