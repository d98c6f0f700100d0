import { appendFileSync, createReadStream, truncateSync } from "node:fs";
import { chmod, open, readdir, readFile, rename, rm, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { verifyAuditFiles, type FilesVerification } from "../../src/audit/export/verify-files.ts";
import { parseRecord } from "../../src/audit/record.ts";
import type { AuditSink } from "../../src/audit/sinks/audit-sink.ts";
import { AuditSinks } from "../../src/audit/sinks/audit-sinks.ts";
import { extendChain, startChain } from "../../src/audit/hash-chain.ts";
import type { LineGroup } from "../../src/audit/line-group.ts";
import { FileSink } from "../../src/audit/sinks/file-sink.ts";
import { StdoutSink } from "../../src/audit/sinks/stdout-sink.ts";
import { startChild } from "../support/child.ts";
import { newDirectory } from "./support/directory.ts";
import { newPlace, numbered, storedNumbers, type TrailPlace } from "./support/trail.ts";

const sinkingProcess = new URL("./support/sinking-process.ts", import.meta.url);

async function openWith(place: TrailPlace, ...sinks: AuditSink[]) {
  return place.open({ sinks: await AuditSinks.open(sinks, place.clock) });
}

/** The files of a sink, oldest first. */
async function filesOf(path: string): Promise<string[]> {
  const folder = join(path, "..");
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${basename(path)}.`)).sort();
  return [...names, basename(path)].map((name) => join(folder, name));
}

async function verifyFiles(files: readonly string[]): Promise<FilesVerification> {
  return verifyAuditFiles(files.map((name) => ({ name, bytes: createReadStream(name) })));
}

async function numbersIn(files: readonly string[]): Promise<number[]> {
  const numbers: number[] = [];
  for (const file of files) {
    for (const line of (await readFile(file, "utf8")).split("\n")) {
      const number = parseRecord(Buffer.from(line))?.detail?.["number"];
      if (typeof number === "number") numbers.push(number);
    }
  }
  return numbers;
}

/** Lets three processes write that many lines each to one file, which every line makes too long. @returns what they wrote */
async function writeTogether(path: string, count: number, keep?: number): Promise<string[]> {
  const writers = ["one", "two", "three"];
  const programs = writers.map((writer) =>
    startChild(sinkingProcess, [path, writer, String(count), ...(keep === undefined ? [] : [String(keep)])]),
  );
  for (const program of programs) expect(await program.nextLine()).toBe("ready");
  for (const program of programs) program.process.stdin?.write("go\n");
  await Promise.all(programs.map((program) => program.finish()));
  return writers.flatMap((writer) => Array.from({ length: count }, (_, index) => `${writer} ${String(index + 1)}`));
}

const testWriter = "7f0d1c9e-93a4-4d51-8a0e-0e7f7e4b1c11";

/** Lines of a chain, from its first one on. */
function groupOf(...names: string[]): LineGroup {
  let position = startChain(testWriter);
  const lines = names.map((name) => Buffer.from(JSON.stringify({ name })));
  for (const line of lines) position = extendChain(position, line);
  const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
  return { first: 1, last: names.length, head: position.head.toString("hex"), bytes };
}

interface NextWrites {
  /** How much of the next one the disk takes; undefined: all. */
  takes?: number;
  /** What happens behind the next one that is taken whole, or before the one that fails. */
  act?: () => void;
}

/** Lets a disk be full, for files that are written by handles. */
async function fullDisk(): Promise<NextWrites> {
  const file = await open(join(await newDirectory(), "any"), "w");
  const prototype: { write: (data: Buffer) => Promise<{ bytesWritten: number }> } = Object.getPrototypeOf(file) as typeof file;
  await file.close();
  const original = prototype.write;
  const next: NextWrites = {};
  const spy = vi.spyOn(prototype, "write").mockImplementation(async function (this: typeof prototype, data: Buffer) {
    const { takes, act } = next;
    if (takes !== undefined && takes > 0) {
      next.takes = 0;
      return original.call(this, data.subarray(0, takes));
    }
    const written = takes === undefined ? await original.call(this, data) : { bytesWritten: 0 };
    delete next.takes;
    delete next.act;
    act?.();
    if (takes === undefined) return written;
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  });
  onTestFinished(() => spy.mockRestore());
  return next;
}

describe("a file sink", () => {
  it("has every record that was answered, for its owner only, and its chain can be verified", async () => {
    const place = await newPlace();
    const path = join(await newDirectory(), "audit.jsonl");
    for (let run = 0; run < 2; run++) {
      const trail = await openWith(place, new FileSink({ type: "file", path }));
      await Promise.all([0, 1, 2].map((number) => trail.record(numbered(3 * run + number))));
      await trail.close();
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await numbersIn([path])).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await verifyFiles([path])).toEqual({ findings: [], writers: 2, records: 10, torn: 0 });
  });

  it("goes on in a new file that names the chain, keeps as many as it is told, and the set verifies", async () => {
    const place = await newPlace();
    const folder = await newDirectory();
    const [path, short] = [join(folder, "audit.jsonl"), join(folder, "short.jsonl")];
    const sinks = [
      new FileSink({ type: "file", path, maxBytes: 2000 }),
      new FileSink({ type: "file", path: short, maxBytes: 2000, keep: 2 }),
    ];
    const trail = await openWith(place, ...sinks);
    for (let number = 0; number < 30; number++) await trail.record(numbered(number));
    await trail.close();
    const files = await filesOf(path);
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      expect((await stat(file)).size).toBeLessThanOrEqual(2000);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readFile(file, "utf8")).toMatch(/^\{"type":"writer","writer":"[-0-9a-f]{36}","count":\d+,"head":"[0-9a-f]{64}"\}\n/);
    }
    expect(await numbersIn(files)).toEqual(Array.from({ length: 30 }, (_, index) => index));
    expect((await verifyFiles(files)).findings).toEqual([]);
    // Each file verifies alone, too; without one in the middle the next names what is missing.
    for (const file of files) expect((await verifyFiles([file])).findings).toEqual([]);
    expect((await verifyFiles(files.toSpliced(2, 1))).findings).toMatchObject([
      { kind: "record", problem: expect.stringContaining("behind") as string },
    ]);
    expect((await filesOf(short)).length).toBe(3);
  });

  it("is found altered, wherever", async () => {
    const place = await newPlace();
    const path = join(await newDirectory(), "audit.jsonl");
    const trail = await openWith(place, new FileSink({ type: "file", path, maxBytes: 3000 }));
    for (let number = 0; number < 12; number++) await trail.record(numbered(number));
    await trail.close();
    const files = await filesOf(path);
    for (const file of files) {
      const text = await readFile(file, "utf8");
      const lines = text.split("\n").slice(0, -1);
      for (const [index, line] of lines.entries()) {
        const isLast = file === path && index === lines.length - 1;
        for (const changed of [
          lines.toSpliced(index, 1),
          lines.with(index, line.replace(/"number":(\d)/, '"number":9$1')),
          lines.toSpliced(index, 0, line),
        ]) {
          if (changed.join() === lines.join() || (isLast && changed.length <= lines.length)) continue;
          // The chain goes on from the file before whether or not it is named again.
          if (line.startsWith('{"type":"writer"') && (file !== files[0] || changed.length > lines.length)) continue;
          await writeFile(file, `${changed.join("\n")}\n`);
          expect((await verifyFiles(files)).findings, `${file} ${String(index)}`).not.toEqual([]);
        }
      }
      await writeFile(file, text);
    }
    expect((await verifyFiles(files)).findings).toEqual([]);
  });

  it("is shared by processes that each go on in the file that the other began", async () => {
    const place = await newPlace();
    const path = join(await newDirectory(), "audit.jsonl");
    const sink = () => new FileSink({ type: "file", path, maxBytes: 4000 });
    const [one, two] = [await openWith(place, sink()), await openWith(place, sink())];
    for (let number = 0; number < 40; number++) await (number % 3 === 0 ? one : two).record(numbered(number));
    await Promise.all([one.close(), two.close()]);
    const files = await filesOf(path);
    expect(files.length).toBeGreaterThan(2);
    expect(await numbersIn(files)).toEqual(Array.from({ length: 40 }, (_, index) => index));
    expect(await verifyFiles(files)).toMatchObject({ findings: [], writers: 2, torn: 0 });
  });

  it("loses no line where processes find the file long in the same moment", async () => {
    const path = join(await newDirectory(), "audit.jsonl");
    const written = await writeTogether(path, 100);
    const files = await filesOf(path);
    const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
    const lines = texts.flatMap((text) => [...text.matchAll(/"line":"([^"]+)"/g)].map(([, line = ""]) => line));
    expect(lines.sort()).toEqual(written.sort());
    expect(files.length).toBeGreaterThan(100);
  });

  it("keeps as many files as it is told where processes take away the oldest in the same moment", async () => {
    const path = join(await newDirectory(), "audit.jsonl");
    await writeTogether(path, 100, 2);
    expect((await filesOf(path)).length).toBeLessThanOrEqual(3);
  });

  it("counts no name that is only taken for a file that it keeps", async () => {
    const path = join(await newDirectory(), "audit.jsonl");
    for (const number of [1, 2]) await writeFile(`${path}.00000${String(number)}`, `${String(number)}\n`);
    await writeFile(`${path}.000003`, "");
    const sink = new FileSink({ type: "file", path, maxBytes: 1, keep: 2 });
    await sink.open();
    await sink.append(testWriter, groupOf("one"));
    const second = groupOf("one", "two");
    await sink.append(testWriter, { ...second, first: 2, bytes: second.bytes.subarray(groupOf("one").bytes.length) });
    await sink.close();
    expect((await filesOf(path)).map((file) => basename(file))).toEqual([
      "audit.jsonl.000002",
      "audit.jsonl.000003",
      "audit.jsonl.000004",
      "audit.jsonl",
    ]);
  });

  it("takes back what it could not write whole, but nothing of others, and gives it again", async () => {
    const disk = await fullDisk();
    for (const behind of ["", "another process's line\n"]) {
      const path = join(await newDirectory(), "audit.jsonl");
      const sink = new FileSink({ type: "file", path });
      await sink.open();
      await sink.append(testWriter, groupOf("one"));
      const before = await readFile(path, "utf8");
      const both = groupOf("one", "two", "three");
      const rest = { ...both, first: 2, bytes: both.bytes.subarray(groupOf("one").bytes.length) };
      disk.takes = 10;
      disk.act = () => appendFileSync(path, behind);
      await expect(sink.append(testWriter, rest)).rejects.toMatchObject({ code: "ENOSPC" });
      expect(await readFile(path, "utf8")).toBe(behind === "" ? before : before + rest.bytes.subarray(0, 10).toString() + behind);
      await sink.append(testWriter, rest);
      expect((await readFile(path, "utf8")).endsWith(`}\n${rest.bytes.toString()}`)).toBe(true);
      await sink.close();
    }
  });

  it("writes again what another process took back with its own", async () => {
    const disk = await fullDisk();
    const path = join(await newDirectory(), "audit.jsonl");
    const sink = new FileSink({ type: "file", path });
    await sink.open();
    disk.act = () => truncateSync(path, 0);
    await sink.append(testWriter, groupOf("one"));
    await sink.close();
    expect(await readFile(path, "utf8")).toContain(groupOf("one").bytes.toString());
  });

  it("stops answers while it can't be written, says why, and recovers by itself without a gap", async () => {
    const place = await newPlace();
    const folder = await newDirectory();
    const path = join(folder, "audit.jsonl");
    const trail = await openWith(place, new FileSink({ type: "file", path }));
    await trail.record(numbered(0));
    // A folder in the place of the file: what follows can't be written there.
    await rename(path, join(folder, "kept"));
    await symlink(join(folder, "nowhere", "audit.jsonl"), path);
    for (let attempt = 0; attempt < 3; attempt++) {
      const refused = trail.record(numbered(1));
      await expect(refused).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: { code: "ENOENT" } });
      await expect(refused).rejects.toThrow(`file:${path}`);
      expect(trail.problems).toMatchObject([{ where: `file:${path}`, cause: { code: "ENOENT" } }]);
    }
    await unlink(path);
    // Not at every request: once a second.
    await expect(trail.record(numbered(2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    place.clock.advance(1000);
    await trail.record(numbered(3));
    expect(trail.problems).toEqual([]);
    await trail.close();
    // What was refused once the sink had failed was recorded nowhere.
    expect(await numbersIn([join(folder, "kept"), path])).toEqual([0, 1, 3]);
    expect(await storedNumbers(place)).toEqual([0, 1, 3]);
    expect((await verifyFiles([join(folder, "kept"), path])).findings).toEqual([]);
    expect((await place.verify()).findings).toEqual([]);
  });

  it("begins a new line behind one that was torn", async () => {
    const place = await newPlace();
    const path = join(await newDirectory(), "audit.jsonl");
    const first = await openWith(place, new FileSink({ type: "file", path }));
    await first.record(numbered(0));
    await first.close();
    const text = await readFile(path, "utf8");
    await writeFile(path, text.slice(0, -30));
    const second = await openWith(place, new FileSink({ type: "file", path }));
    await second.record(numbered(1));
    await second.close();
    expect(await numbersIn([path])).toEqual([0, 1]);
    expect(await verifyFiles([path])).toMatchObject({ findings: [], torn: 1 });
    // What was torn stands in a line of its own, or the next writer is not named.
    const lines = (await readFile(path, "utf8")).split("\n");
    expect(lines.filter((line) => line.startsWith('{"type":"writer"'))).toHaveLength(2);
  });

  it("takes no line twice", async () => {
    const path = join(await newDirectory(), "audit.jsonl");
    const writer = "7f0d1c9e-93a4-4d51-8a0e-0e7f7e4b1c11";
    const sink = new FileSink({ type: "file", path });
    await sink.open();
    let position = startChain(writer);
    const groups = [1, 2, 3].map((sequence) => {
      const line = JSON.stringify({ sequence });
      position = extendChain(position, Buffer.from(line));
      return { first: sequence, last: sequence, head: position.head.toString("hex"), bytes: Buffer.from(`${line}\n`) };
    });
    // What is offered again when it is not known whether it was taken.
    for (const index of [0, 0, 1, 1, 0, 2])
      await sink.append(writer, groups[index] ?? { first: 0, last: 0, head: "", bytes: Buffer.alloc(0) });
    await sink.close();
    expect((await readFile(path, "utf8")).split("\n").slice(1).join("\n")).toBe(groups.map(({ bytes }) => bytes.toString()).join(""));
  });

  it("is not opened when others may read it, or where it can't be", async () => {
    const place = await newPlace();
    const folder = await newDirectory();
    const path = join(folder, "audit.jsonl");
    await writeFile(path, "");
    for (const mode of [0o644, 0o640, 0o620, 0o604, 0o602]) {
      await chmod(path, mode);
      await expect(openWith(place, new FileSink({ type: "file", path }))).rejects.toMatchObject({ code: "INSECURE_FILE" });
    }
    await rm(path);
    await expect(openWith(place, new FileSink({ type: "file", path: join(folder, "none", "x") }))).rejects.toMatchObject({
      code: "AUDIT_UNAVAILABLE",
    });
  });

  it("notices that its file was removed, and goes on in a new one", async () => {
    const place = await newPlace();
    const path = join(await newDirectory(), "audit.jsonl");
    const trail = await openWith(place, new FileSink({ type: "file", path }));
    await trail.record(numbered(0));
    await rm(path);
    await trail.record(numbered(1));
    await trail.close();
    expect(await numbersIn([path])).toEqual([1]);
    expect((await verifyFiles([path])).findings).toEqual([]);
  });
});

describe("the stdout sink", () => {
  it("writes the records as lines, and nothing is answered once nobody reads", async () => {
    const place = await newPlace();
    const stream = new PassThrough();
    const trail = await openWith(place, new StdoutSink(stream));
    await trail.record(numbered(7));
    expect(String(stream.read())).toContain('"detail":{"number":7}}\n');
    await trail.close();
    expect(stream.listenerCount("error")).toBe(0);
    const closed = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })) });
    await expect(openWith(await newPlace(), new StdoutSink(closed))).rejects.toMatchObject({
      code: "AUDIT_UNAVAILABLE",
      cause: { code: "EPIPE" },
    });
  });
});
