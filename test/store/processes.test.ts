import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { migrations } from "../../src/store/sql/migrations.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { watchChild } from "../setup/watched-child.ts";
import { codeOf, createStoreFile, metadataKey, openRaw, openUnlocked, temporaryFolder } from "./places.ts";

const fixture = fileURLToPath(new URL("fixtures/writer.ts", import.meta.url));

/** Spares all but the first child the time to compile. */
const compileCache = temporaryFolder();
afterAll(() => compileCache[Symbol.dispose]());

function startWriter(mode: "count" | "endless" | "migrate", path: string, name: string, count = 0): ChildProcess {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", fixture, mode, path, name, String(count)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache.path },
  });
  return watchChild(child);
}

/** What a process printed, once it has ended well. */
async function linesOf(child: ChildProcess): Promise<string[]> {
  let output = "";
  let errors = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const [exit] = (await once(child, "close")) as [number | null];
  expect(exit, errors).toBe(0);
  return output.trimEnd().split("\n");
}

/** Kills a process at the n-th line that it prints; returns how many commits it had reported by then. */
async function killAtLine(child: ChildProcess, n: number): Promise<number> {
  if (child.stdout === null) throw new Error("no output");
  const ended = once(child, "exit");
  let lines = 0;
  let commits = 0;
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith("committed")) commits++;
    if (++lines === n) child.kill("SIGKILL");
  }
  const [, signal] = (await ended) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  return commits;
}

describe("several processes on one store", () => {
  it("lose no update, and none is told that the store is busy", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const outputs = await Promise.all(["a", "b"].map(async (name) => await linesOf(startWriter("count", path, name, 100))));

    for (const lines of outputs) {
      const generations = lines.filter((line) => line.startsWith("committed")).map((line) => Number(line.split(" ")[1]));
      expect(generations.length).toBe(100);
      expect(generations).toEqual([...new Set(generations)].sort((a, b) => a - b));
    }
    const store = await openUnlocked(path);
    expect(await store.verify()).toEqual([]);
    expect(await store.generation()).toBe(2 + 200);
    const count = await store.read(async ({ settings }) => await settings.get({ name: "count" }));
    const aliases = await store.read(async (tables) => await tables.aliases.list());
    expect([count?.value, aliases.length - 20]).toEqual(["200", 200]);
    await store.close();
  });

  it("migrate it once", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const outputs = await Promise.all(["a", "b", "c"].map(async (name) => await linesOf(startWriter("migrate", path, name))));
    expect(outputs).toEqual([["migrated"], ["migrated"], ["migrated"]]);
    const old = new SqlStore(await openRaw(path), migrations);
    expect(await codeOf(async () => await old.unlock(metadataKey))).toBe("STORE_SCHEMA_NEWER");
    await old.close();
  });
});

describe("a process that is killed", () => {
  it("leaves a whole store with everything that it had committed, 20 times", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "keystead.db");
    await createStoreFile(path);
    const batches = Array.from({ length: 5 }, (_, batch) => Array.from({ length: 4 }, (__, index) => 4 * batch + index));
    let committed = 0;
    for (const batch of batches) {
      await Promise.all(
        batch.map(async (number) => {
          committed += await killAtLine(startWriter("endless", path, `writer ${number}`), 1 + number * 3);
          const store = await openUnlocked(path);
          expect(await store.verify()).toEqual([]);
          await store.close();
        }),
      );
      const store = await openUnlocked(path);
      const found = await store.read(async ({ settings, aliases, auditLines }) => ({
        count: Number((await settings.get({ name: "count" }))?.value),
        aliases: (await aliases.list()).length - 20,
        lines: (await auditLines.list()).length,
      }));
      expect(found.count).toBeGreaterThanOrEqual(committed);
      expect(found).toEqual({ count: found.count, aliases: found.count, lines: found.count });
      await store.close();
    }
  });
});
