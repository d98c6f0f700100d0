import { chmod, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { AuditEvent } from "../../src/audit/event.ts";
import { chainHash, startChain } from "../../src/audit/hash-chain.ts";
import { Journal, type JournalOptions } from "../../src/audit/journal.ts";
import { sealJournal } from "../../src/audit/journal-file.ts";
import { JournalSource, readJournal } from "../../src/audit/journal-source.ts";
import { parseRecord } from "../../src/audit/record.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { identifyProcess } from "../../src/process-identity.ts";
import { storeId } from "./support/audit-store.ts";
import { newDirectory } from "./support/directory.ts";
import { ControlledFile } from "./support/journal-file.ts";
import { ManualClock, until } from "./support/manual-clock.ts";

function event(reason: string): AuditEvent {
  return { action: "keys.rotate", outcome: "allowed", principal: { source: "embedded", id: "embedded" }, reason };
}

async function open(changes: Partial<JournalOptions> = {}): Promise<Journal> {
  const directory = changes.directory ?? join(await newDirectory(), "audit");
  return Journal.open({
    directory,
    storeId,
    clock: new ManualClock(),
    random: systemRandom,
    identity: identifyProcess("here"),
    ...changes,
  });
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8");
  expect(text.endsWith("\n")).toBe(true);
  return text.slice(0, -1).split("\n");
}

describe("Journal", () => {
  it("begins with a record that names the store, in a file and a directory for the owner only", async () => {
    const directory = join(await newDirectory(), "data", "audit");
    const journal = await open({ directory });
    const { writer, count } = journal.durable;
    expect(journal.path).toBe(join(directory, `${writer}.jsonl`));
    expect((await stat(journal.path)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(count).toBe(1);
    const [first = ""] = await linesOf(journal.path);
    expect(parseRecord(Buffer.from(first))).toMatchObject({
      sequence: 1,
      action: "journal.open",
      store: storeId,
      writer,
      host: "here",
      process: process.pid,
      time: "2026-01-02T03:04:05.678Z",
      previous: startChain(writer).head.toString("hex"),
    });
    await journal.close();
  });

  it("chains its records and ends with a last one", async () => {
    const journal = await open();
    await journal.record(event("one"));
    await journal.record(event("two"));
    await journal.close();
    const lines = await linesOf(journal.path);
    expect(lines.map((line) => parseRecord(Buffer.from(line))?.action)).toEqual([
      "journal.open",
      "keys.rotate",
      "keys.rotate",
      "journal.close",
    ]);
    let { head } = startChain(journal.durable.writer);
    for (const [index, line] of lines.entries()) {
      expect(parseRecord(Buffer.from(line))).toMatchObject({ sequence: index + 1, previous: head.toString("hex") });
      head = chainHash(head, Buffer.from(line));
    }
    expect(journal.durable).toEqual({ writer: journal.durable.writer, count: 4, head });
  });

  it("answers a record only when it is durable, and groups what came meanwhile into one write", async () => {
    const file = new ControlledFile();
    const journal = await open({ openFile: file.openFile });
    const { writes, syncs } = file;
    file.hold();
    let answered = 0;
    const note = (): void => {
      answered++;
    };
    const first = journal.record(event("first")).then(note);
    await until(() => file.writes === writes + 1);
    const others = Array.from({ length: 100 }, (_, index) => journal.record(event(`other ${index}`)).then(note));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(0);
    expect(journal.durable.count).toBe(1);
    file.release();
    await Promise.all([first, ...others]);
    expect(journal.durable.count).toBe(102);
    expect([file.writes - writes, file.syncs - syncs]).toEqual([2, 2]);
    await journal.close();
    expect(await linesOf(journal.path)).toHaveLength(103);
  });

  it("writes the records of one turn together, in their order", async () => {
    const file = new ControlledFile();
    const journal = await open({ openFile: file.openFile });
    const { writes } = file;
    await Promise.all(Array.from({ length: 50 }, (_, index) => journal.record(event(`number ${index}`))));
    expect(file.writes - writes).toBe(1);
    const reasons = (await linesOf(journal.path)).slice(1).map((line) => parseRecord(Buffer.from(line))?.reason);
    expect(reasons).toEqual(Array.from({ length: 50 }, (_, index) => `number ${index}`));
    await journal.close();
  });

  it("finishes short writes", async () => {
    const file = new ControlledFile();
    file.pieces = 7;
    const journal = await open({ openFile: file.openFile });
    await Promise.all([journal.record(event("one")), journal.record(event("two"))]);
    await journal.close();
    expect((await linesOf(journal.path)).every((line) => parseRecord(Buffer.from(line)) !== undefined)).toBe(true);
  });

  it("refuses an event that no record can hold, and goes on", async () => {
    const journal = await open();
    await expect(journal.record(event("x".repeat(2000)))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await journal.record(event("good"));
    expect(journal.durable.count).toBe(2);
    await journal.close();
  });

  it.each(["write", "datasync"] as const)("is over after a failed %s: everything is refused, nothing is written again", async (at) => {
    const file = new ControlledFile();
    const journal = await open({ openFile: file.openFile });
    await journal.record(event("durable"));
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    file.fail(at, full, 100);
    const results = await Promise.allSettled([journal.record(event("lost")), journal.record(event("lost, too"))]);
    for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: { code: "AUDIT_UNAVAILABLE", cause: full } });
    expect(journal.failed).toBe(true);
    file.repair();
    const before = await readFile(journal.path);
    await expect(journal.record(event("later"))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: full });
    await journal.close();
    expect(await readFile(journal.path)).toEqual(before);
    expect(journal.durable.count).toBe(2);
  });

  it("refuses records that wait behind a failing write", async () => {
    const file = new ControlledFile();
    const journal = await open({ openFile: file.openFile });
    file.hold();
    const { writes } = file;
    const first = journal.record(event("first"));
    await until(() => file.writes > writes);
    const second = journal.record(event("second"));
    file.fail("datasync", new Error("gone"));
    const results = Promise.allSettled([first, second]);
    file.release();
    for (const result of await results) expect(result).toMatchObject({ status: "rejected", reason: { code: "AUDIT_UNAVAILABLE" } });
    expect(file.writes).toBe(writes + 1);
    await journal.close();
  });

  it("notices that its file was removed", async () => {
    const journal = await open();
    await rm(journal.path);
    await expect(journal.record(event("nowhere"))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await journal.close();
  });

  it("answers nothing from when it is sealed, and what it answered can be read", async () => {
    const journal = await open();
    await journal.record(event("answered"));
    await sealJournal(journal.path);
    await expect(journal.record(event("too late"))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await journal.close();
    expect((await linesOf(journal.path)).map((line) => parseRecord(Buffer.from(line))?.reason)).toEqual([
      undefined,
      "answered",
      "too late",
    ]);
  });

  it("leaves no stump when it can't be started", async () => {
    const directory = await newDirectory();
    const file = new ControlledFile();
    file.fail("write", new Error("full"), 50);
    await expect(open({ directory, openFile: file.openFile })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect(await readdir(directory)).toEqual([]);
    await expect(open({ directory: join(import.meta.filename, "audit") })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  });

  it("refuses a directory that others may write to", async () => {
    const directory = join(await newDirectory(), "audit");
    await mkdir(directory);
    await chmod(directory, 0o770);
    const refusal = open({ directory });
    await expect(refusal).rejects.toMatchObject({ code: "INSECURE_FILE" });
    await expect(refusal).rejects.toThrow(`chmod 700 ${directory}`);
  });

  it("refuses everything once closed, and closes once", async () => {
    const journal = await open();
    await Promise.all([journal.record(event("last")), journal.close()]);
    await journal.close();
    await expect(journal.record(event("later"))).rejects.toMatchObject({ code: "CLOSED" });
    expect(await linesOf(journal.path)).toHaveLength(3);
  });
});

describe("reading a journal", () => {
  it("takes whole lines only, and as many as there are", async () => {
    const file = new ControlledFile();
    const journal = await open({ openFile: file.openFile });
    const long = Array.from({ length: 400 }, (_, index) => event(`${index} ${"x".repeat(1000)}`));
    await Promise.all(long.map((one) => journal.record({ ...one, detail: { a: "y".repeat(4000) } })));
    file.fail("write", new Error("torn"), 100);
    await expect(journal.record(event("torn"))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await journal.close();

    const source = new JournalSource(journal.path, journal.durable.writer, storeId);
    let batches = 0;
    for (;;) {
      const batch = await source.peek();
      expect(await source.peek()).toEqual(batch);
      source.take(batch);
      batches++;
      if (!batch.last) continue;
      expect(batch.torn).toBeGreaterThan(0);
      break;
    }
    expect(batches).toBeGreaterThan(1);
    expect(source.position).toEqual(journal.durable);
  });

  it("stops at a given record", async () => {
    const journal = await open();
    for (const reason of ["one", "two", "three"]) await journal.record(event(reason));
    const source = new JournalSource(journal.path, journal.durable.writer, storeId);
    const batch = await source.peek(2);
    source.take(batch);
    expect(batch.lines.map(({ record }) => record.sequence)).toEqual([1, 2]);
    expect((await source.peek()).lines.map(({ record }) => record.sequence)).toEqual([3, 4]);
    await journal.close();
  });

  it("says where a chain breaks", async () => {
    const journal = await open();
    await journal.record(event("one"));
    await journal.close();
    for (const [writer, store] of [
      [journal.durable.writer, "another store"],
      ["0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", storeId],
    ] as const) {
      const batch = await new JournalSource(journal.path, writer, store).peek();
      expect(batch.lines).toEqual([]);
      expect(batch.problem).toContain("record 1");
    }
  });

  it("does not take a line above the limit into memory whole", async () => {
    const path = join(await newDirectory(), "long.jsonl");
    const { writeFile } = await import("node:fs/promises");
    await writeFile(path, "x".repeat(3_000_000));
    const chunk = await readJournal(path, 0);
    expect(chunk.lines).toHaveLength(1);
    expect(chunk.next).toBe(1_048_576);
    expect(chunk.atEnd).toBe(false);
  });
});
