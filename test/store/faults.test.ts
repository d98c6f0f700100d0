import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CompiledQuery } from "kysely";
import fc from "fast-check";
import { describe, expect, it, type TestContext } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { isKeysteadError } from "../../src/errors.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { codeOf, createStoreFile, metadataKey, openRaw, openUnlocked, temporaryFolder } from "./places.ts";

const clock = systemClock;

/** A file system of its own; undefined where this process may not mount one. */
function mountSmallDisk(path: string, size: string): { remountReadOnly: () => void; [Symbol.dispose]: () => void } | undefined {
  mkdirSync(path, { recursive: true });
  if (process.getuid?.() !== 0 || spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", path]).status !== 0)
    return undefined;
  return {
    remountReadOnly: () => expect(spawnSync("mount", ["-o", "remount,ro", path]).status).toBe(0),
    [Symbol.dispose]: () => expect(spawnSync("umount", ["--lazy", path]).status).toBe(0),
  };
}

const needsMount = "needs the right to mount a file system";

/** Adds rows until the disk is full; returns how many were committed. */
async function fillUp(store: Store): Promise<number> {
  for (let index = 0; ; index++) {
    try {
      await store.transaction(async ({ aliases, auditLines }) => {
        await aliases.insert({ alias: `filler ${index}`, keyId: "k" });
        await auditLines.insert({ writer: "w", sequence: index, line: new Uint8Array(8_000) });
      });
    } catch (error) {
      expect(isKeysteadError(error, "STORE_FULL"), String(error)).toBe(true);
      return index;
    }
  }
}

/** The store holds what was committed, all of it, and works on. */
async function expectUnharmed(store: Store, committed: number): Promise<void> {
  expect(await store.verify()).toEqual([]);
  const [aliases, lines] = await store.read(async (tables) => [await tables.aliases.list(), await tables.auditLines.list()] as const);
  expect([aliases.length - 20, lines.length]).toEqual([committed, committed]);
}

describe("a full disk", () => {
  it("is STORE_FULL, injected by a page limit, and harms nothing", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const database = await openRaw(path);
    const store = new SqlStore(database);
    await store.unlock(metadataKey);
    await database.sql.executeQuery(CompiledQuery.raw("pragma max_page_count = 80"));
    const committed = await fillUp(store);
    expect(committed).toBeGreaterThan(3);
    await expectUnharmed(store, committed);
    await store.close();
    const again = await openUnlocked(path);
    await expectUnharmed(again, committed);
    await again.transaction(async ({ settings }) => await settings.insert({ name: "there is space again", value: "" }));
    await again.close();
  });

  it("never commits what follows a failed statement, even if the caller goes on", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const database = await openRaw(path);
    const store = new SqlStore(database);
    await store.unlock(metadataKey);
    await database.sql.executeQuery(CompiledQuery.raw("pragma max_page_count = 80"));
    const stubborn = store.transaction(async ({ settings, auditLines }) => {
      await settings.insert({ name: "before", value: "" });
      expect(await codeOf(async () => await auditLines.insert({ writer: "w", sequence: 1, line: new Uint8Array(1_000_000) }))).toBe(
        "STORE_FULL",
      );
      expect(await codeOf(async () => await settings.insert({ name: "after", value: "" }))).toBe("STORE_FULL");
      return "done";
    });
    expect(await codeOf(async () => await stubborn)).toBe("STORE_FULL");
    expect((await store.read(async ({ settings }) => await settings.list())).map(({ name }) => name)).toEqual(["count"]);
    expect(await store.verify()).toEqual([]);
    await store.close();
  });

  it("is STORE_FULL on a real one, and harms nothing", async (context: TestContext) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "disk");
    using disk = mountSmallDisk(path, "1m");
    if (disk === undefined) return context.skip(needsMount);
    const file = join(path, "keystead.db");
    await createStoreFile(file);
    const store = await openUnlocked(file);
    const committed = await fillUp(store);
    expect(committed).toBeGreaterThan(3);
    await expectUnharmed(store, committed);
    await store.close();
    const again = await openUnlocked(file);
    await expectUnharmed(again, committed);
    await again.close();
  });

  it("is STORE_FULL when there is not even space for a new store", async (context: TestContext) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "disk");
    using disk = mountSmallDisk(path, "64k");
    if (disk === undefined) return context.skip(needsMount);
    writeFileSync(join(path, "filler"), new Uint8Array(40_000));
    const file = join(path, "keystead.db");
    expect(await codeOf(async () => await createStoreFile(file))).toBe("STORE_FULL");
    rmSync(join(path, "filler"));
    const store = await openSqliteStore(file, { clock, create: true });
    expect(await store.exists()).toBe(false);
    await store.close();
  });
});

describe("a read-only disk", () => {
  it("is STORE_READ_ONLY, can be read when asked to, and harms nothing", async (context: TestContext) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "disk");
    using disk = mountSmallDisk(path, "1m");
    if (disk === undefined) return context.skip(needsMount);
    const file = join(path, "keystead.db");
    await createStoreFile(file);
    disk.remountReadOnly();
    const before = readFileSync(file);
    expect(await codeOf(async () => await openSqliteStore(file, { clock }))).toBe("STORE_READ_ONLY");
    expect(await codeOf(async () => await openSqliteStore(join(path, "new.db"), { clock, create: true }))).toBe("STORE_READ_ONLY");
    const store = await openSqliteStore(file, { clock, readOnly: true });
    await store.unlock(metadataKey);
    await expectUnharmed(store, 0);
    await store.close();
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it("is STORE_READ_ONLY for a process without the right to write", async (context: TestContext) => {
    if (process.getuid?.() === 0) return context.skip("the superuser may write everywhere");
    using folder = temporaryFolder();
    const file = join(folder.path, "keystead.db");
    await createStoreFile(file);
    chmodSync(file, 0o400);
    expect(await codeOf(async () => await openSqliteStore(file, { clock }))).toBe("STORE_READ_ONLY");
    chmodSync(file, 0o600);
    chmodSync(folder.path, 0o500);
    expect(await codeOf(async () => await openSqliteStore(file, { clock }))).toBe("STORE_READ_ONLY");
    chmodSync(folder.path, 0o700);
    const store = await openUnlocked(file);
    await expectUnharmed(store, 0);
    await store.close();
  });
});

describe("a damaged file", () => {
  it("is refused, or shows every row as it was", async () => {
    using folder = temporaryFolder();
    const good = join(folder.path, "good.db");
    await createStoreFile(good);
    const bytes = readFileSync(good);
    const readAll = async (path: string): Promise<unknown> => {
      const store = await openUnlocked(path);
      try {
        return await store.read(async (tables) => [
          await tables.aliases.list(),
          await tables.settings.list(),
          await tables.counters.list(),
        ]);
      } finally {
        await store.close();
      }
    };
    const expected = await readAll(good);
    const damage = fc.oneof(
      fc.record({ at: fc.nat(bytes.length - 1), flip: fc.integer({ min: 1, max: 255 }) }),
      fc.record({ length: fc.nat(bytes.length - 1) }),
    );
    await fc.assert(
      fc.asyncProperty(damage, async (change) => {
        const path = join(folder.path, "damaged.db");
        for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
        copyFileSync(good, path);
        const damaged = Buffer.from(bytes);
        if ("at" in change) damaged.writeUInt8(damaged.readUInt8(change.at) ^ change.flip, change.at);
        writeFileSync(path, "length" in change ? damaged.subarray(0, change.length) : damaged);
        try {
          expect(await readAll(path)).toEqual(expected);
        } catch (error) {
          if (!isKeysteadError(error)) throw error;
          expect(["STORE_FAILED", "STORE_TAMPERED", "STORE_NOT_FOUND", "STORE_SCHEMA_NEWER"]).toContain(error.code);
        }
      }),
      { numRuns: 60 },
    );
  });
});
