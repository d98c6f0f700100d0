import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { LineWriter } from "../../src/store/sqlite/line-writer.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { LineBlock, Store } from "../../src/store/store.ts";
import { createStoreFile, metadataKey, temporaryFolder } from "./places.ts";

interface Line {
  readonly writer: string;
  readonly sequence: number;
  readonly line: Uint8Array;
}

const open: { path: string; [Symbol.dispose]: () => void }[] = [];
afterEach(() => {
  for (const folder of open.splice(0)) folder[Symbol.dispose]();
});

function newFolder(): string {
  const folder = temporaryFolder();
  open.push(folder);
  return folder.path;
}

async function openThreaded(path: string, busyTimeout = 5_000): Promise<Store & Required<Pick<Store, "appendLines">>> {
  const store = await openSqliteStore(path, { clock: systemClock, threaded: true, busyTimeout });
  await store.unlock(metadataKey);
  const appendLines = store.appendLines?.bind(store);
  if (appendLines === undefined) throw new Error("it has no thread");
  return Object.assign(store, { appendLines });
}

function lines(first: number, count: number, writer = "w"): Line[] {
  return Array.from({ length: count }, (_, index) => ({ writer, sequence: first + index, line: Buffer.from(`line ${first + index}, é`) }));
}

/** Lines as they are added: in two pieces of memory. */
function blockOf(first: number, count: number, writer = "w"): LineBlock {
  const all = lines(first, count, writer).map(({ line }) => `${Buffer.from(line).toString()}\n`);
  return { writer, first, pieces: [Buffer.from(all.slice(0, 1).join("")), Buffer.from(all.slice(1).join(""))] };
}

async function stored(store: Store): Promise<Line[]> {
  const rows = await store.read(({ auditLines }) => auditLines.list());
  return rows.map(({ writer, sequence, line }) => ({ writer, sequence, line: Buffer.from(line) }));
}

describe("audit lines that a thread adds", () => {
  it("are those that a transaction adds, whichever of both comes first", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path);
    await store.appendLines(blockOf(1, 3));
    await store.transaction(({ auditLines }) => auditLines.insertAll(lines(4, 2)));
    await Promise.all([store.appendLines(blockOf(6, 600)), store.appendLines(blockOf(1, 2, "other"))]);
    expect(await stored(store)).toEqual([...lines(1, 2, "other"), ...lines(1, 605)]);
    expect(await store.verify()).toEqual([]);
    await store.close();
    await expect(store.appendLines(blockOf(606, 1))).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("are all refused when one of them is there", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path);
    await store.appendLines(blockOf(3, 1));
    await expect(store.appendLines(blockOf(1, 3))).rejects.toMatchObject({ code: "NAME_TAKEN" });
    expect(await stored(store)).toEqual(lines(3, 1));
    await store.appendLines(blockOf(1, 2));
    expect(await stored(store)).toEqual(lines(1, 3));
    await store.close();
  });

  it("wait for the lock of another process without keeping anything else waiting, and closing waits for them", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path);
    await store.appendLines(blockOf(1, 1));
    const other = new DatabaseSync(path);
    other.exec("begin immediate");
    let isAdded = false;
    const adding = store.appendLines(blockOf(2, 1)).then(() => {
      isAdded = true;
    });
    // Reads of this process go on meanwhile: several, one after the other.
    for (let read = 0; read < 5; read++) expect(await stored(store)).toEqual(lines(1, 1));
    expect(isAdded).toBe(false);
    const closing = store.close();
    other.exec("commit");
    await closing;
    await adding;
    expect(other.prepare("select count(*) as count from audit_lines").get()).toEqual({ count: 2 });
    other.close();
  });

  it("are refused when the lock does not come in time, and when the file was replaced", async () => {
    const folder = newFolder();
    const path = join(folder, "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path, 50);
    const other = new DatabaseSync(path);
    other.exec("begin immediate");
    await expect(store.appendLines(blockOf(1, 1))).rejects.toMatchObject({ code: "STORE_BUSY" });
    other.exec("rollback");
    other.close();
    await store.appendLines(blockOf(1, 1));
    renameSync(path, `${path}.moved`);
    writeFileSync(path, "", { mode: 0o600 });
    await expect(store.appendLines(blockOf(2, 1))).rejects.toMatchObject({ code: "STORE_FAILED" });
    await store.close();
  });
});

describe("the thread", () => {
  it("is given batches of every size one after another", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path);
    let count = 0;
    for (const size of [3, 20_000, 1, 400, 30_000, 2]) {
      await store.appendLines(blockOf(count + 1, size));
      count += size;
    }
    expect(await stored(store)).toEqual(lines(1, count));
    await store.close();
  });

  it("adds nothing of lines that are cut", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const store = await openThreaded(path);
    await expect(store.appendLines({ writer: "w", first: 1, pieces: [Buffer.from("a\nb")] })).rejects.toMatchObject({
      code: "STORE_FAILED",
    });
    expect(await stored(store)).toEqual([]);
    await store.appendLines(blockOf(1, 2));
    await store.close();
  });

  it("is begun again after it could not begin", async () => {
    const folder = newFolder();
    const path = join(folder, "later", "keystead.db");
    const writer = new LineWriter({ location: path, settings: [], timeout: 1_000 });
    await expect(writer.append(blockOf(1, 1))).rejects.toMatchObject({ code: "STORE_FAILED" });
    mkdirSync(join(folder, "later"));
    await createStoreFile(path);
    await writer.append(blockOf(1, 1));
    await writer.close();
    await writer.close();
  });

  it("does not load what its process was told to load first", async () => {
    const folder = newFolder();
    const path = join(folder, "keystead.db");
    await createStoreFile(path);
    const preload = join(folder, "preload.mjs");
    writeFileSync(preload, 'import { isMainThread } from "node:worker_threads";\nif (!isMainThread) throw new Error("loaded");\n');
    vi.stubEnv("NODE_OPTIONS", `--import=${preload}`);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const writer = new LineWriter({ location: path, settings: [], timeout: 1_000 });
    await writer.append(blockOf(1, 1));
    await writer.close();
  });

  it("that can't begin refuses all that waits for it, and closing meanwhile ends", async () => {
    const writer = new LineWriter({ location: join(newFolder(), "none", "keystead.db"), settings: [], timeout: 1_000 });
    const waiting = [1, 2, 3].map((first) => writer.append(blockOf(first, 1)));
    const outcomes = Promise.allSettled(waiting);
    await writer.close();
    expect((await outcomes).map((outcome) => outcome.status === "rejected" && codeIn(outcome.reason))).toEqual(
      Array(3).fill("STORE_FAILED"),
    );
    await writer.close();
  });

  it.each([
    ["the next batch begins another", false],
    ["closing ends", true],
  ])("that dies at work refuses all that waits for it, and %s", async (_, isClosed) => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const writer = new LineWriter({ location: path, settings: [], timeout: 60_000 });
    const threads = threadsFrom();
    await writer.append(blockOf(1, 1));
    const other = new DatabaseSync(path);
    other.exec("begin immediate");
    const outcomes = Promise.allSettled([2, 3, 4].map((first) => writer.append(blockOf(first, 1))));
    const closing = isClosed ? writer.close() : undefined;
    const [thread] = threads;
    const ended = thread?.terminate();
    // Only now is it let out of SQLite, which waits for the lock.
    other.exec("rollback");
    expect(await outcomes).toMatchObject(Array(3).fill({ status: "rejected", reason: { code: "STORE_FAILED" } }));
    await ended;
    await closing;
    if (!isClosed) {
      const { next } = Object.assign({ next: 0 }, other.prepare("select max(sequence) + 1 as next from audit_lines").get());
      await writer.append(blockOf(next, 2));
      expect(threads).toHaveLength(2);
    }
    await writer.close();
    other.close();
  });

  it("that has died unnoticed refuses what it is given, once", async () => {
    const path = join(newFolder(), "keystead.db");
    await createStoreFile(path);
    const writer = new LineWriter({ location: path, settings: [], timeout: 1_000 });
    const threads = threadsFrom();
    await writer.append(blockOf(1, 1));
    const ended = threads[0]?.terminate();
    await expect(writer.append(blockOf(2, 1))).rejects.toMatchObject({ code: "STORE_FAILED" });
    await ended;
    await writer.append(blockOf(2, 1));
    await writer.close();
  });
});

/** The threads that this process begins from now on. */
function threadsFrom(): Worker[] {
  const threads: Worker[] = [];
  const note = (thread: Worker): void => {
    threads.push(thread);
  };
  process.on("worker", note);
  onTestFinished(() => {
    process.off("worker", note);
  });
  return threads;
}

function codeIn(reason: unknown): unknown {
  return typeof reason === "object" && reason !== null && "code" in reason ? reason.code : reason;
}
