import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Clock } from "../../../src/clock.ts";
import { databaseFailure, isSqliteError } from "../../../src/datasets/sqlite/sqlite-failure.ts";
import { SqliteSourceProvider } from "../../../src/datasets/sqlite/sqlite-source-provider.ts";
import { readAll, replacement } from "../../../src/testing/dataset-source/samples.ts";
import { TestClock } from "../../support/test-clock.ts";
import { text } from "./cells.ts";
import { createTable, layoutOf, openSource } from "./database.ts";

const layout = layoutOf("t", { valueColumns: ["v"] });
const sql = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "keystead-opening-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function makeDatabase(name: string): string {
  const path = join(folder, name);
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  return path;
}

function failing(message: RegExp): object {
  return { code: "DATABASE_FAILED", message: expect.stringMatching(message) as string };
}

describe("opening SQLite databases", () => {
  it("opens absolute and relative paths, taken as they are written", async () => {
    for (const name of ["plain.db", "with space.db", "100%25.db", "question?mode=memory", "hash#.db", "ünïcode.db", "a:b.db"]) {
      const path = makeDatabase(name);
      for (const url of [`sqlite:${path}`, `sqlite:${relative(process.cwd(), path)}`]) {
        const source = await openSource(url, layout);
        expect((await source.describe()).rows).toBe(2);
        await source.close();
      }
    }
  });

  it("never creates a file", async () => {
    const path = join(folder, "missing.db");
    await expect(openSource(`sqlite:${path}`, layout)).rejects.toMatchObject(
      failing(/missing\.db: the file does not exist: check the path/),
    );
    expect(existsSync(path)).toBe(false);
  });

  it.each(["sqlite:", "sqlite::memory:", "sqlite:///srv/crm.db", "sqlite://host/crm.db", "postgres:crm", "sqlite:a\0b", "crm.db"])(
    "refuses the URL %j",
    async (url) => {
      await expect(openSource(url, layout)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    },
  );

  it("says what is wrong with a file that is no database", async () => {
    mkdirSync(join(folder, "folder.db"));
    await expect(openSource(`sqlite:${join(folder, "folder.db")}`, layout)).rejects.toMatchObject(failing(/is not a file/));
    writeFileSync(join(folder, "text.db"), "this is no database, but a text of some length ".repeat(100));
    await expect(openSource(`sqlite:${join(folder, "text.db")}`, layout)).rejects.toMatchObject(
      failing(/not an SQLite database, or it is encrypted/),
    );
    await expect(openSource(`sqlite:${join(makeDatabase("file.db"), "x.db")}`, layout)).rejects.toMatchObject(failing(/ENOTDIR/));
  });

  it("says that a damaged database is damaged", async () => {
    const path = makeDatabase("damaged.db");
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4096, 4200);
    writeFileSync(path, bytes);
    const source = await openSource(`sqlite:${path}`, layout);
    await expect(source.readPage(undefined, 10)).rejects.toMatchObject(failing(/it is damaged: run PRAGMA integrity_check/));
    await expect(source.countHeaders()).rejects.toMatchObject(failing(/it is damaged/));
    await source.close();
    truncateSync(path, 5000);
    const cut = await openSource(`sqlite:${path}`, layout);
    await expect(cut.readPage(undefined, 10)).rejects.toMatchObject(failing(/it is damaged|not an SQLite database/));
    await cut.close();
  });

  it("reads a file that it may not write, and says so when it should", async ({ skip }) => {
    skip(process.getuid?.() === 0, "root may write every file");
    const path = makeDatabase("read-only.db");
    chmodSync(path, 0o400);
    const source = await openSource(`sqlite:${path}`, layout);
    const rows = await readAll(source, 10);
    expect(rows).toHaveLength(2);
    const replacements = rows.map((row) => ({ locator: row.locator, expected: row.cells, set: { v: text("x") } }));
    await expect(source.replace(replacements)).rejects.toMatchObject(failing(/read-only: give this process permission to write/));
    await source.close();
  });

  it("names the remedy of each failure, and no message that may hold values", () => {
    const failure = (errcode: number): string => {
      const error = Object.assign(new Error("secret of a trigger"), { errcode, errstr: "general text" });
      if (!isSqliteError(error)) throw new Error("not taken for an error of SQLite");
      const { message, cause } = databaseFailure("database sqlite:x", error);
      expect(cause).toBe(undefined);
      return message;
    };
    expect(failure(8)).toBe("database sqlite:x: it is read-only: give this process permission to write the file and its folder");
    expect(failure(1032)).toMatch(/read-only/);
    expect(failure(13)).toMatch(/disk is full/);
    expect(failure(10 + 256 * 3)).toMatch(/check the disk/);
    expect(failure(1)).toBe("database sqlite:x: general text");
  });

  it("keeps the journal mode that the application chose", async () => {
    for (const mode of ["wal", "delete", "truncate", "persist"]) {
      const { database, url, drop } = await createTable(`PRAGMA journal_mode = ${mode}; ${sql}`, layout);
      try {
        const source = await openSource(url, layout);
        const rows = await readAll(source, 1);
        await source.replace(rows.map((row) => ({ locator: row.locator, expected: row.cells, set: { v: text("x") } })));
        await source.countHeaders();
        await source.close();
        expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: mode });
      } finally {
        await drop();
      }
    }
  });

  it("leaves no plaintext behind in the pages of the file", async () => {
    const plaintext = "anna.lindqvist@example.org, a person ".repeat(40);
    const { path, url, insert, drop, database } = await createTable(
      "PRAGMA secure_delete = ON; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)",
      layout,
    );
    try {
      await insert(Array.from({ length: 50 }, () => ({ v: text(plaintext) })));
      expect(readFileSync(path).includes("lindqvist")).toBe(true);
      const source = await openSource(url, layout);
      const rows = await readAll(source, 100);
      await source.replace(rows.map((row) => ({ locator: row.locator, expected: row.cells, set: { v: text("sealed") } })));
      await source.close();
      database.close();
      expect(readFileSync(path).includes("lindqvist")).toBe(false);
    } finally {
      await drop();
    }
  });
});

describe("a locked SQLite database", () => {
  /** A clock by which somebody gives up a lock after some waiting. */
  class UnlockingClock implements Clock {
    waits = 0;
    readonly #unlock: () => void;
    readonly #after: number;

    constructor(after: number, unlock: () => void) {
      this.#after = after;
      this.#unlock = unlock;
    }

    now(): number {
      return 0;
    }

    monotonic(): number {
      return this.waits;
    }

    wait(): Promise<void> {
      this.waits++;
      if (this.waits === this.#after) this.#unlock();
      return Promise.resolve();
    }
  }

  for (const mode of ["WAL", "DELETE"]) {
    it(`is waited for, and given up on with the remedy: ${mode}`, async () => {
      const { database, url, drop } = await createTable(`PRAGMA journal_mode = ${mode}; ${sql}`, layout);
      try {
        const suite = { layout } as Parameters<typeof replacement>[0];
        const impatient = await new SqliteSourceProvider({ clock: new TestClock(), busyTimeout: 500 }).open(url, layout);
        const rows = await readAll(impatient, 10);
        const replacements = rows.map((row) => replacement(suite, row, text("sealed")));
        database.exec("BEGIN IMMEDIATE; UPDATE t SET id = id + 10 WHERE id = 2");
        await expect(impatient.replace(replacements)).rejects.toMatchObject(
          failing(/another connection kept it locked for 0.5 s: end its transaction/),
        );
        expect((await readAll(impatient, 10)).length).toBe(2);
        await impatient.close();

        const clock = new UnlockingClock(2, () => {
          database.exec("COMMIT");
        });
        const patient = await new SqliteSourceProvider({ clock, busyTimeout: 500 }).open(url, layout);
        expect(await patient.replace(replacements)).toEqual(["replaced", "changed"]);
        expect(clock.waits).toBe(2);
        await patient.close();
      } finally {
        await drop();
      }
    });
  }

  it("by a reader, or for reading too, is waited for", async () => {
    const { database, url, drop } = await createTable(`PRAGMA journal_mode = DELETE; ${sql}`, layout);
    try {
      const reading = database.prepare("SELECT * FROM t").iterate();
      reading.next();
      const readerClock = new UnlockingClock(2, () => {
        reading.return?.();
      });
      const writer = await new SqliteSourceProvider({ clock: readerClock, busyTimeout: 500 }).open(url, layout);
      const rows = await readAll(writer, 10);
      const suite = { layout } as Parameters<typeof replacement>[0];
      expect(await writer.replace(rows.map((row) => replacement(suite, row, text("sealed"))))).toEqual(["replaced", "replaced"]);
      expect(readerClock.waits).toBe(2);

      database.exec("BEGIN EXCLUSIVE");
      const writerClock = new UnlockingClock(3, () => {
        database.exec("COMMIT");
      });
      const reader = await new SqliteSourceProvider({ clock: writerClock, busyTimeout: 500 }).open(url, layout);
      expect(await reader.countHeaders()).toEqual([{ column: "v", kind: "plaintext", count: 2 }]);
      await writer.close();
      await reader.close();
    } finally {
      await drop();
    }
  });
});
