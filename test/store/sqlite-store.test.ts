import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { testStore } from "../../src/testing/store.ts";
import {
  codeOf,
  createStoreFile,
  metadataKey,
  newIdentity,
  newSqlitePlace,
  noRows,
  openRaw,
  openUnlocked,
  temporaryFolder,
} from "./places.ts";

testStore({ name: "SQLite", describe, it, open: newSqlitePlace });

const clock = systemClock;

function modesIn(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]));
}

describe("files of an SQLite store", () => {
  it("are readable by their owner only, whatever the umask", async () => {
    using folder = temporaryFolder();
    const umask = process.umask(0);
    try {
      const store = await openSqliteStore(join(folder.path, "keystead.db"), { clock, create: true });
      await store.create(newIdentity, metadataKey, noRows);
      expect(modesIn(folder.path)).toEqual({ "keystead.db": "600", "keystead.db-wal": "600", "keystead.db-shm": "600" });
      await store.close();
      expect(modesIn(folder.path)).toEqual({ "keystead.db": "600" });
    } finally {
      process.umask(umask);
    }
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o660, 0o644])("are refused with mode %o, and chmod is named", async (mode) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    chmodSync(path, mode);
    await expect(openUnlocked(path)).rejects.toMatchObject({
      code: "INSECURE_FILE",
      message: expect.stringContaining("chmod 600") as string,
    });
    chmodSync(path, 0o600);
    const store = await openUnlocked(path);
    await store.transaction(async ({ settings }) => await settings.insert({ name: "a", value: "" }));
    chmodSync(`${path}-wal`, mode);
    await expect(openUnlocked(path)).rejects.toMatchObject({ code: "INSECURE_FILE", message: expect.stringContaining("-wal") as string });
    await store.close();
  });

  it("are looked for, not made, unless asked to", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    expect(await codeOf(async () => await openSqliteStore(path, { clock }))).toBe("STORE_NOT_FOUND");
    expect(await codeOf(async () => await openSqliteStore(path, { clock, create: true, readOnly: true }))).toBe("STORE_NOT_FOUND");
    expect(await codeOf(async () => await openSqliteStore(join(folder.path, "no", "folder.db"), { clock, create: true }))).toBe(
      "STORE_NOT_FOUND",
    );
    writeFileSync(join(folder.path, "file"), "");
    expect(await codeOf(async () => await openSqliteStore(join(folder.path, "file", "a.db"), { clock, create: true }))).toBe(
      "STORE_NOT_FOUND",
    );
    expect(readdirSync(folder.path)).toEqual(["file"]);
  });

  it("are refused and left alone when they are something else", async () => {
    using folder = temporaryFolder();
    const text = join(folder.path, "text.db");
    writeFileSync(text, "this is not a database, it is a long text about keys\n".repeat(100), { mode: 0o600 });
    const database = join(folder.path, "other.db");
    const other = new DatabaseSync(database);
    other.exec("create table person (id integer); pragma user_version = 1");
    other.close();
    chmodSync(database, 0o600);
    mkdirSync(join(folder.path, "folder"));
    for (const path of [text, database]) {
      const before = readFileSync(path);
      expect(await codeOf(async () => await openSqliteStore(path, { clock, create: true }))).toBe("STORE_FAILED");
      expect(readFileSync(path).equals(before)).toBe(true);
    }
    expect(await codeOf(async () => await openSqliteStore(join(folder.path, "folder"), { clock, create: true }))).toBe("STORE_FAILED");
    expect(readdirSync(folder.path).sort()).toEqual(["folder", "other.db", "text.db"]);
  });

  it("may be reached by a link and by a relative path", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    symlinkSync(path, join(folder.path, "link.db"));
    const store = await openUnlocked(join(folder.path, "link.db"));
    expect(await store.verify()).toEqual([]);
    await store.close();
  });

  it("are not written to any more once they were replaced or removed", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    copyFileSync(path, join(folder.path, "yesterday.db"));
    for (const replacement of [join(folder.path, "yesterday.db"), undefined]) {
      const store = await openUnlocked(path);
      if (replacement === undefined) renameSync(path, join(folder.path, "gone.db"));
      else renameSync(replacement, path);
      const insert = async (): Promise<unknown> =>
        await store.transaction(async ({ aliases }) => await aliases.insert({ alias: "lost", keyId: "" }));
      await expect(insert()).rejects.toMatchObject({ code: "STORE_FAILED", message: expect.stringContaining("replaced") as string });
      expect(await codeOf(async () => await store.generation())).toBe("STORE_FAILED");
      await store.close();
    }
  });
});

describe("an SQLite store", () => {
  it("commits durably, overwrites what is deleted, trusts no schema", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const { sql, close } = await openSettings(path);
    const settings = ["journal_mode", "synchronous", "secure_delete", "foreign_keys", "trusted_schema", "cell_size_check", "temp_store"];
    const values = Object.fromEntries(await Promise.all(settings.map(async (name) => [name, await sql(`pragma ${name}`)] as const)));
    await close();
    expect(values).toEqual({
      journal_mode: "wal",
      synchronous: 2n,
      secure_delete: 1n,
      foreign_keys: 1n,
      trusted_schema: 0n,
      cell_size_check: 1n,
      temp_store: 2n,
    });
  });

  it("leaves nothing of a removed row in its files once it was scrubbed", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const store = await openUnlocked(path);
    const remains = (): string[] =>
      readdirSync(folder.path).filter((name) => readFileSync(join(folder.path, name)).includes("needle-7f3a"));
    const record = await store.transaction(
      async ({ settings }) => await settings.insert({ name: "x", value: `needle-7f3a ${"x".repeat(20_000)} needle-7f3a` }),
    );
    await store.transaction(async ({ settings }) => await settings.remove(record));
    expect(remains()).not.toEqual([]);
    await store.scrub();
    expect(remains()).toEqual([]);
    await store.close();
  });

  it("says that it is busy when a scrub has to wait for a reader for too long", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const reader = await openUnlocked(path);
    const writer = await openSqliteStore(path, { clock, busyTimeout: 30 });
    await writer.unlock(metadataKey);
    await reader.read(async ({ settings }) => {
      await settings.list();
      await writer.transaction(async (tables) => await tables.settings.insert({ name: "a", value: "" }));
      expect(await codeOf(async () => await writer.scrub())).toBe("STORE_BUSY");
    });
    await writer.scrub();
    await Promise.all([reader.close(), writer.close()]);
  });

  it("waits for another connection's transaction as long as it may, without stopping it", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const holder = await openUnlocked(path);
    const hasty = await openSqliteStore(path, { clock, busyTimeout: 20 });
    await hasty.unlock(metadataKey);
    const patient = await openUnlocked(path);
    const insert = (store: typeof hasty, name: string) => async (): Promise<unknown> =>
      await store.transaction(async ({ settings }) => await settings.insert({ name, value: "" }));
    const waiting: Promise<unknown>[] = [];
    await holder.transaction(async ({ settings }) => {
      expect(await codeOf(insert(hasty, "hasty"))).toBe("STORE_BUSY");
      waiting.push(insert(patient, "patient")());
      await settings.insert({ name: "holder", value: "" });
    });
    await Promise.all(waiting);
    const names = await holder.read(async ({ settings }) => (await settings.list()).map(({ name }) => name));
    expect(names).toEqual(["count", "holder", "patient"]);
    await Promise.all([holder.close(), hasty.close(), patient.close()]);
  });

  it("has the snapshot of its beginning, not of the first query", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const [reader, writer] = [await openRaw(path), await openUnlocked(path)];
    await reader.sql
      .transaction()
      .setAccessMode("read only")
      .execute(async (sql) => {
        await writer.transaction(async ({ settings }) => await settings.insert({ name: "late", value: "" }));
        expect((await sql.selectFrom("settings").select("name").execute()).map(({ name }) => name)).toEqual(["count"]);
      });
    await Promise.all([reader.close(), writer.close()]);
  });

  it("writes nothing when it was opened read-only", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const before = readFileSync(path);
    const store = await openSqliteStore(path, { clock, readOnly: true });
    await store.unlock(metadataKey);
    await store.migrate();
    expect((await store.read(async ({ aliases }) => await aliases.list())).length).toBe(20);
    for (const write of [
      async () => await store.transaction(noRows),
      async () => await store.raiseGeneration(9),
      async () => await store.scrub(),
      async () => await store.create(newIdentity, metadataKey, noRows),
    ]) {
      expect(await codeOf(write)).toBe("STORE_READ_ONLY");
    }
    await store.close();
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
  });
});

async function openSettings(path: string): Promise<{ sql: (query: string) => Promise<unknown>; close: () => Promise<void> }> {
  const { CompiledQuery } = await import("kysely");
  const database = await openRaw(path);
  return {
    sql: async (query) => Object.values((await database.sql.executeQuery<object>(CompiledQuery.raw(query))).rows[0] ?? {})[0] as unknown,
    close: async () => await database.close(),
  };
}
