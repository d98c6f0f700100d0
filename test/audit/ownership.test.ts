import { mkdir, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { journalPath, lockPath, type OpenJournalFile, openJournalFile } from "../../src/audit/journal-file.ts";
import { identifyProcess } from "../../src/process-identity.ts";
import { breakable, storeId } from "./support/audit-store.ts";
import { AnsweringProgram, canIsolate } from "./support/answering-program.ts";
import { leaveJournal, newPlace, numbered, storedNumbers, type TrailPlace } from "./support/trail.ts";

const appendingProcess = new URL("./support/appending-process.ts", import.meta.url);

const own = identifyProcess();
const [boot = "", start = ""] = (own.start ?? "").split("/");
const linux = process.platform === "linux";
const day = 86_400_000;

async function journalsIn({ directory }: TrailPlace): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.endsWith(".jsonl")).map((name) => name.replace(".jsonl", ""));
}

/** Starts a program that appends to a journal, and waits until it does. */
async function startAppending({ directory }: TrailPlace, identity: object = {}, isolated = false): Promise<AnsweringProgram> {
  const program = new AnsweringProgram(appendingProcess, [directory, storeId, JSON.stringify(identity)], { isolated });
  await program.answers(20);
  return program;
}

/** Opens a trail beside a program, which must not be disturbed; then kills the program, and the next trail must ship it all. */
async function expectRespected(place: TrailPlace, program: AnsweringProgram, certain = true): Promise<void> {
  const [writer = ""] = await journalsIn(place);
  const beside = await place.open();
  expect(beside.adopted).toEqual([]);
  await beside.record(numbered(-1));
  await beside.close();
  expect(await journalsIn(place)).toEqual([writer]);
  expect(await storedNumbers(place)).toEqual([-1]);
  await program.answers(50);
  const answered = await program.kill();
  const next = await place.open();
  expect(next.adopted).toMatchObject([{ writer, problem: undefined }]);
  await next.close();
  const stored = new Set(await storedNumbers(place));
  expect(answered.filter((number) => !stored.has(number))).toEqual([]);
  expect(await journalsIn(place)).toEqual(certain ? [] : [writer]);
  expect(await place.verify()).toMatchObject({ findings: [], writers: 3, uncovered: 0 });
}

describe("the journal of a running process", () => {
  it("is left alone, and shipped once the process was killed", async () => {
    const place = await newPlace();
    await expectRespected(place, await startAppending(place));
  });

  it("is left alone by a container with the same host name", async ({ skip }) => {
    skip(!canIsolate(), "only root may give a process numbers of its own");
    const place = await newPlace();
    await expectRespected(place, await startAppending(place, {}, true));
  });

  it.runIf(linux).each([
    ["has the same host name and number in another container", { process: process.pid, namespace: "pid:[1]" }, true],
    ["seems to have been followed by another one with its number", { start: `${boot}/1` }, true],
    ["seems to be this very process", own, true],
    ["seems to be of an earlier boot", { start: `another boot/${start}` }, false],
    ["seems to be on a system that says nothing", { start: null, namespace: null }, false],
  ])("is left alone when it %s: its lock is held", async (_, pretended, certain) => {
    const place = await newPlace();
    await expectRespected(place, await startAppending(place, pretended), certain);
  });

  it.runIf(linux)("is left alone even when its lock was lost, as long as the process can be seen", async () => {
    const place = await newPlace();
    const program = await startAppending(place);
    const [writer = ""] = await journalsIn(place);
    await rm(lockPath(place.directory, writer));
    await writeFile(lockPath(place.directory, writer), "", { mode: 0o600 });
    const beside = await place.open();
    expect(beside.adopted).toEqual([]);
    await beside.close();
    await program.answers(50);
    await program.kill();
    await (await place.open()).close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
  });

  it.runIf(linux)("answers nothing more when it was taken over nevertheless, and loses nothing that it answered", async () => {
    const place = await newPlace();
    const victim = await place.open({ identity: { ...own, namespace: "pid:[1]" } });
    const writer = (await journalsIn(place))[0] ?? "";
    await victim.record(numbered(1));
    // A program that copies the folder drops its own locks.
    await rm(lockPath(place.directory, writer));
    await writeFile(lockPath(place.directory, writer), "", { mode: 0o600 });
    const taker = await place.open();
    expect(taker.adopted).toMatchObject([{ writer, count: 2 }]);
    await expect(victim.record(numbered(2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    place.clock.advance(1000);
    await victim.record(numbered(3));
    await Promise.all([victim.close(), taker.close()]);
    expect(await storedNumbers(place)).toEqual(expect.arrayContaining([1, 3]));
    expect(await place.verify()).toMatchObject({ findings: [], writers: 3, uncovered: 0 });
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
  });

  it("of this process is left alone, too", async () => {
    const place = await newPlace();
    const one = await place.open();
    await one.record(numbered(1));
    const two = await place.open();
    expect(two.adopted).toEqual([]);
    await two.close();
    expect(await journalsIn(place)).toHaveLength(1);
    await one.record(numbered(2));
    await one.close();
    expect(await place.verify()).toMatchObject({ findings: [], records: 6 });
  });
});

describe("a journal that was left behind", () => {
  it.runIf(linux).each([
    ["its number was given to another process", { start: `${boot}/1` }],
    ["its container had another host name and is gone", { host: "there", process: 1, namespace: "pid:[1]" }],
  ])("is taken over when %s", async (_, pretended) => {
    const place = await newPlace();
    const program = await startAppending(place, pretended);
    const answered = await program.kill();
    await (await place.open()).close();
    const stored = new Set(await storedNumbers(place));
    expect(answered.filter((number) => !stored.has(number))).toEqual([]);
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
  });

  it("is taken over by the process that left it when its store was down", async () => {
    const place = await newPlace();
    const failure = new Error("down");
    let down = false;
    const trail = await place.open({ store: breakable(place.store, () => (down ? failure : undefined)) });
    await trail.record(numbered(1));
    down = true;
    await trail.close();
    const again = await place.open();
    expect(again.adopted).toMatchObject([{ added: 3, count: 3 }]);
    await again.close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("is taken over by one process only", async () => {
    const place = await newPlace();
    const { writer } = await leaveJournal(place.directory, 50);
    await writeFile(lockPath(place.directory, writer), "", { mode: 0o600 });
    const trails = await Promise.all([1, 2, 3].map(() => place.open()));
    expect(trails.flatMap((trail) => trail.adopted)).toMatchObject([{ writer, count: 51 }]);
    await Promise.all(trails.map((trail) => trail.close()));
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 4, uncovered: 0 });
  });

  it.runIf(linux).each([
    ["another machine, whose locks don't reach here,", { host: "there", start: "another boot/1" }, "no lock"],
    ["a machine of this name, which may be this one before it was started again,", { start: "another boot/1" }, "lock"],
    ["a process whose lock somebody removed, in another container,", { namespace: "pid:[1]" }, "no lock"],
  ])("by %s is copied, and kept for a day after it last grew", async (_, pretended, lock) => {
    const place = await newPlace();
    const program = await startAppending(place, pretended);
    const [writer = ""] = await journalsIn(place);
    const path = journalPath(place.directory, writer);
    const answered = await program.kill();
    if (lock === "no lock") await rm(lockPath(place.directory, writer));
    for (const age of [0, day - 60_000]) {
      const touched = new Date(Date.now() - age);
      await utimes(path, touched, touched);
      const trail = await place.open();
      expect(trail.adopted).toMatchObject([{ writer, problem: undefined }]);
      await trail.close();
      expect(await journalsIn(place)).toEqual([writer]);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
    const stored = new Set(await storedNumbers(place));
    expect(answered.filter((number) => !stored.has(number))).toEqual([]);
    const touched = new Date(Date.now() - day - 60_000);
    await utimes(path, touched, touched);
    await (await place.open()).close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect((await place.verify()).findings).toEqual([]);
  });

  it.runIf(linux)("by a machine that nobody can look at may still grow", async () => {
    const place = await newPlace();
    const one = await place.open({ identity: { ...own, host: "there", start: "another boot/1" } });
    const [writer = ""] = await journalsIn(place);
    await rm(lockPath(place.directory, writer));
    await one.record(numbered(1));
    const two = await place.open();
    expect(two.adopted).toMatchObject([{ added: 2, count: 2 }]);
    await one.record(numbered(2));
    await two.close();
    expect(await journalsIn(place)).toEqual([writer]);
    await one.record(numbered(3));
    await one.close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], records: 7, uncovered: 0 });
  });

  it("leaves nothing else behind that a process was killed over", async () => {
    const place = await newPlace();
    const [old, young] = ["0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", "1b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081"];
    const journal = '{"sequence":1,"prev';
    const notes = { "notes.lock": "", "notes.jsonl": "", "checkpoint.json.bak": "", [`${old.replace("0", "2")}.jsonl`]: "[]\n" };
    const strays = { [`${old}.jsonl`]: journal, [`checkpoint.json.${old}`]: "{}" };
    const recent = { [`${young}.jsonl`]: journal, [`${young}.lock`]: "", [`checkpoint.json.${young}`]: "{}" };
    const longAgo = new Date(Date.now() - day - 60_000);
    for (const [name, text] of Object.entries({ ...notes, ...strays, ...recent, [`${old.replace("0", "3")}.lock`]: "" })) {
      await writeFile(join(place.directory, name), text, { mode: 0o600 });
      if (!(name in recent)) await utimes(join(place.directory, name), longAgo, longAgo);
    }
    await (await place.open()).close();
    const left = [...Object.keys(notes), ...Object.keys(recent), "checkpoint.json"];
    expect((await readdir(place.directory)).sort()).toEqual(left.sort());
  });
});

describe("the lock of a journal", () => {
  it("is an empty file for its owner only, and stays empty", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    const [writer = ""] = await journalsIn(place);
    const { mode, size } = await stat(lockPath(place.directory, writer));
    expect([mode & 0o777, size]).toEqual([0o600, 0]);
    expect((await readdir(place.directory)).sort()).toEqual([`${writer}.jsonl`, `${writer}.lock`]);
    await trail.close();
  });

  it("that can't be made keeps a journal from being started", async () => {
    const place = await newPlace();
    const openFile: OpenJournalFile = async (path) => {
      await mkdir(path.replace(".jsonl", ".lock"));
      return openJournalFile(path);
    };
    await expect(place.open({ openFile })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: { code: "EEXIST" } });
    expect(await journalsIn(place)).toEqual([]);
  });
});
