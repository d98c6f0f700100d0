import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Signer } from "../../src/audit/signature.ts";
import type { AuditStore } from "../../src/audit/audit-store.ts";
import { parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { parseRecord, type AuditRecord } from "../../src/audit/record.ts";
import { KeysteadError } from "../../src/errors.ts";
import { breakable, newStore, storeId } from "./support/audit-store.ts";
import { ControlledFile } from "./support/journal-file.ts";
import { until } from "./support/manual-clock.ts";
import { leaveJournal, newPlace, numbered, storedNumbers, type TrailPlace } from "./support/trail.ts";

async function storedRecords({ store }: TrailPlace): Promise<AuditRecord[]> {
  const rows = await store.read((tables) => tables.auditLines.list());
  return rows.map(({ line }) => parseRecord(line)).filter((record) => record !== undefined);
}

async function checkpointCount({ store }: TrailPlace): Promise<number> {
  return (await store.read((tables) => tables.checkpoints.list())).length;
}

async function journalsIn({ directory }: TrailPlace): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".jsonl"));
}

describe("FileTrail", () => {
  it("ships and checkpoints a second after traffic, and never without", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    expect(await storedRecords(place)).toEqual([]);
    place.clock.advance(999);
    // For what is to be shipped, and for a write that hangs.
    expect(place.clock.waiting).toBe(2);
    expect(await checkpointCount(place)).toBe(0);
    place.clock.advance(1);
    await until(async () => (await checkpointCount(place)) === 1);
    expect((await storedRecords(place)).map((record) => record.action)).toEqual(["journal.open", "keys.rotate"]);
    expect(place.clock.waiting).toBe(0);
    place.clock.advance(100_000);
    await trail.record(numbered(2));
    place.clock.advance(1000);
    await until(async () => (await checkpointCount(place)) === 2);
    await trail.close();
    expect((await place.verify()).findings).toEqual([]);
  });

  it("ships and checkpoints after 1,000 records without waiting", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await Promise.all(Array.from({ length: 1000 }, (_, index) => trail.record(numbered(index))));
    await until(async () => (await checkpointCount(place)) === 1);
    expect((await storedRecords(place)).length).toBe(1001);
    await trail.close();
  });

  it("has shipped and covered everything that was recorded before a flush, answered or not", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    for (let round = 0; round < 20; round++) {
      file.hold();
      const before = Array.from({ length: 10 }, (_, index) => trail.record(numbered(100 * round + index)));
      const flushed = trail.flush();
      const after = [trail.record(numbered(100 * round + 50)), trail.flush()];
      file.release();
      await flushed;
      const stored = await storedNumbers(place);
      for (let index = 0; index < 10; index++) expect(stored).toContain(100 * round + index);
      const { uncovered } = await place.verify();
      expect(uncovered).toBeLessThanOrEqual(1);
      await Promise.all([...before, ...after]);
      expect(await place.verify()).toMatchObject({ findings: [], unshipped: 0, uncovered: 0 });
    }
    await trail.close();
  });

  it("has shipped what was recorded before a flush while a new journal was begun", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    file.fail("write", new Error("no space left on device"));
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    file.repair();
    const recorded = trail.record(numbered(2));
    await trail.flush();
    expect(await storedNumbers(place)).toEqual([2]);
    await recorded;
    await trail.close();
  });

  it("does not call a flush done when its journal was removed before it was shipped", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    for (const name of await journalsIn(place)) await rm(join(place.directory, name));
    await expect(trail.flush()).rejects.toMatchObject({ code: "AUDIT_TAMPERED" });
    expect(trail.problem).toMatchObject({ code: "AUDIT_TAMPERED" });
    await trail.close();
  });

  it("saves what it recorded though its journal was removed, and goes on saying so", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    for (const name of await journalsIn(place)) await rm(join(place.directory, name));
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(trail.flush()).rejects.toMatchObject({ code: "AUDIT_TAMPERED", message: expect.stringContaining("removed") as string });
      expect(await storedNumbers(place)).toEqual([1]);
    }
    await trail.close();
  });

  it("keeps a bounded part of what is not shipped, reads the rest from the journal, and says how far behind it is", async () => {
    const place = await newPlace();
    let broken: Error | undefined = new KeysteadError("STORE_BUSY", "held");
    const trail = await place.open({ store: breakable(place.store, () => broken), limits: { records: 10_000, bytes: 2 ** 30 } });
    const reason = "x".repeat(1024);
    const context = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`n${index}`, "y".repeat(4096)]));
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 30 }, (_, index) => trail.record({ ...numbered(round * 30 + index), reason, context })));
    }
    // 300 records of 43 KiB, and those of the open.
    expect(trail.lag).toBe(301);
    broken = undefined;
    await trail.flush();
    expect(trail.lag).toBe(0);
    expect(await storedNumbers(place)).toEqual(Array.from({ length: 300 }, (_, index) => index));
    await trail.close();
    expect((await place.verify()).findings).toEqual([]);
  });

  it("ships in transactions of bounded size, and lets others have their turn between them", async () => {
    const place = await newPlace();
    const sizes: number[] = [];
    let turns = 0;
    const store: AuditStore = {
      ...place.store,
      read: (work) => place.store.read(work),
      generation: () => place.store.generation(),
      transaction: (work) =>
        place.store.transaction((tables) =>
          work({
            ...tables,
            auditLines: {
              get: (key) => tables.auditLines.get(key),
              list: (where, page) => tables.auditLines.list(where, page),
              insert: (row) => tables.auditLines.insert(row),
              insertAll: (rows) => {
                sizes.push(rows.length);
                setImmediate(() => turns++);
                expect(turns).toBe(sizes.length - 1);
                return tables.auditLines.insertAll(rows);
              },
            },
          }),
        ),
    };
    const trail = await place.open({ store });
    await Promise.all(Array.from({ length: 999 }, (_, index) => trail.record(numbered(index))));
    await trail.flush();
    // The first record has a write of its own, and all others one together.
    expect(sizes).toEqual([1, 512, 487]);
    await trail.close();
  });

  it("leaves a store that verifies and no journal when it is closed", async () => {
    const place = await newPlace();
    const trail = await place.open();
    for (let index = 0; index < 5; index++) await trail.record(numbered(index));
    await trail.close();
    await trail.close();
    await expect(trail.record(numbered(6))).rejects.toMatchObject({ code: "CLOSED" });
    expect(await journalsIn(place)).toEqual([]);
    expect(await place.verify()).toMatchObject({
      findings: [],
      writers: 1,
      records: 7,
      checkpoints: 1,
      unshipped: 0,
      uncovered: 0,
      torn: 0,
    });
    expect(place.clock.waiting).toBe(0);
  });

  it("makes one chain of checkpoints out of those of several writers", async () => {
    const place = await newPlace();
    const [one, two] = await Promise.all([place.open(), place.open()]);
    for (let round = 0; round < 5; round++) {
      await Promise.all([one.record(numbered(round)), two.record(numbered(round))]);
      await Promise.all([one.flush(), two.flush()]);
    }
    await Promise.all([one.close(), two.close()]);
    const report = await place.verify();
    expect(report).toMatchObject({ findings: [], writers: 2, records: 14, uncovered: 0 });
    expect(report.checkpoints).toBeGreaterThanOrEqual(12);
  });

  it("lists in a checkpoint the writers that grew, and binds the others by the chain", async () => {
    const place = await newPlace();
    await (await place.open()).close();
    const trail = await place.open();
    await trail.close();
    const rows = await place.store.read((tables) => tables.checkpoints.list());
    expect(rows.map(({ body }) => parseCheckpoint(body)?.positions.length)).toEqual([1, 1]);
    expect((await place.verify()).uncovered).toBe(0);
  });

  it("keeps lines in the journal while there is no signer, and covers them later", async () => {
    const place = await newPlace();
    const trail = await place.open({ signer: () => undefined });
    await trail.record(numbered(1));
    await trail.close();
    expect(await checkpointCount(place)).toBe(0);
    expect(await journalsIn(place)).toHaveLength(1);
    expect(await place.verify()).toMatchObject({ findings: [], records: 3, uncovered: 3 });
  });

  it("says while nobody can sign that checkpoints are missing", async () => {
    const place = await newPlace();
    const signers: Signer[] = [];
    const trail = await place.open({ signer: () => signers[0] });
    await trail.record(numbered(1));
    await trail.flush();
    for (let look = 0; look < 2; look++) {
      expect(trail.problems).toMatchObject([{ where: "checkpoints", cause: { code: "AUDIT_UNAVAILABLE" } }]);
      await trail.flush();
    }
    signers.push(place.signer);
    await trail.flush();
    expect(trail.problems).toEqual([]);
    expect(await checkpointCount(place)).toBe(1);
    await trail.close();
  });

  it("answers while the store is down, says why nothing is shipped, and catches up", async () => {
    const place = await newPlace();
    let down: Error | undefined;
    const trail = await place.open({ store: breakable(place.store, () => down) });
    down = new KeysteadError("STORE_BUSY", "the store is busy");
    await trail.record(numbered(1));
    place.clock.advance(1000);
    await until(() => trail.problem === down);
    await trail.record(numbered(2));
    down = undefined;
    place.clock.advance(1000);
    await until(async () => (await checkpointCount(place)) === 1);
    await until(() => trail.problem === undefined);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], records: 4 });
  });

  it("leaves its journal to the next process when the store is down at the end", async () => {
    const place = await newPlace();
    const full = new KeysteadError("STORE_FULL", "the store is full");
    let down = false;
    const trail = await place.open({ store: breakable(place.store, () => (down ? full : undefined)) });
    await trail.record(numbered(1));
    down = true;
    await trail.close();
    expect(await journalsIn(place)).toHaveLength(1);
    expect(await place.verify()).toMatchObject({ findings: [], records: 0, unshipped: 3, uncovered: 3 });
  });

  it("starts a new chain after its journal failed, once there is room, and not more than once a second", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    await trail.record(numbered(1));
    file.fail("write", Object.assign(new Error("no space left on device"), { code: "ENOSPC" }), 20);
    await expect(trail.record(numbered(2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await expect(trail.record(numbered(3))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    const { writes } = file;
    file.repair();
    await expect(trail.record(numbered(4))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect(file.writes).toBe(writes);
    place.clock.advance(1000);
    await Promise.all([trail.record(numbered(5)), trail.record(numbered(6))]);
    await trail.close();
    expect(await journalsIn(place)).toEqual([]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
    const numbers = (await storedRecords(place)).map((record) => record.detail?.["number"]).filter((number) => number !== undefined);
    expect(numbers.sort()).toEqual([1, 5, 6]);
  });

  it("starts one without a record, too, when it is told to recover", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    file.fail("write", full, 20);
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await trail.recover();
    expect(trail.problems).toEqual([{ where: "journal", cause: full }]);
    file.repair();
    const { writes } = file;
    await trail.recover();
    expect(file.writes).toBe(writes);
    place.clock.advance(1000);
    await trail.recover();
    expect(trail.problems).toEqual([]);
    await trail.record(numbered(2));
    await trail.close();
    // Closed, it stays so.
    await trail.recover();
    expect(await journalsIn(place)).toEqual([]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });
});

describe("opening a trail", () => {
  it("ships what a process that is gone left, drops its torn line, and removes its journal", async () => {
    const place = await newPlace();
    const left = await leaveJournal(place.directory, 4, '{"sequence":6,"prev');
    expect(await place.verify()).toMatchObject({ findings: [], unshipped: 5, torn: 19 });
    const trail = await place.open();
    expect(trail.adopted).toEqual([{ writer: left.writer, added: 5, count: 5, torn: 19, problem: undefined }]);
    expect(await journalsIn(place)).toHaveLength(1);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, records: 8, uncovered: 0, torn: 0 });
    const adopted = (await storedRecords(place)).find((record) => record.action === "journal.adopt");
    expect(adopted?.detail).toEqual({ writer: left.writer, count: 5, torn: 19 });
  });

  it("ships a long journal in batches, and again changes nothing", async () => {
    const place = await newPlace();
    const { path, writer } = await leaveJournal(place.directory, 5000);
    const copy = await readFile(path);
    await (await place.open()).close();
    await writeFile(path, copy, { mode: 0o600 });
    const trail = await place.open();
    expect(trail.adopted).toMatchObject([{ added: 0, count: 5001, problem: undefined }]);
    await trail.close();
    const listed = (await place.store.read((tables) => tables.checkpoints.list())).flatMap(
      ({ body }) => parseCheckpoint(body)?.positions ?? [],
    );
    expect(listed.filter((position) => position.writer === writer)).toHaveLength(1);
    expect(await journalsIn(place)).toEqual([]);
    expect(await place.verify()).toMatchObject({ findings: [], uncovered: 0 });
  });

  it("continues where a process was killed in the middle of its shipping", async () => {
    const place = await newPlace();
    const { path, writer } = await leaveJournal(place.directory, 9);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    await place.store.transaction(async (tables) => {
      for (const [index, line] of lines.slice(0, 4).entries()) {
        await tables.auditLines.insert({ writer, sequence: index + 1, line: Buffer.from(line) });
      }
    });
    const trail = await place.open();
    expect(trail.adopted).toMatchObject([{ added: 6, count: 10 }]);
    await trail.close();
    expect((await place.verify()).findings).toEqual([]);
  });

  it("ignores other files and the journals of other stores", async () => {
    const place = await newPlace();
    await writeFile(join(place.directory, "notes.jsonl"), "{}\n");
    await writeFile(join(place.directory, "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081.jsonl"), "");
    const other = await place.open({ storeId: "another-store", store: await newStore(), signer: () => undefined });
    const trail = await place.open();
    expect(trail.adopted).toEqual([]);
    await Promise.all([other.close(), trail.close()]);
    expect(await place.verify()).toMatchObject({ findings: [], records: 2 });
  });

  it("keeps a damaged journal as evidence, ships what is good, and goes on", async () => {
    const place = await newPlace();
    const { path, writer } = await leaveJournal(place.directory, 4);
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"number":2', '"number":7'));
    const trail = await place.open();
    expect(trail.adopted).toMatchObject([{ writer, problem: { code: "AUDIT_TAMPERED" } }]);
    await trail.record(numbered(1));
    await trail.close();
    expect(await journalsIn(place)).toEqual([`${writer}.jsonl`]);
    expect((await place.verify()).findings).toMatchObject([{ kind: "record", writer, sequence: 4 }]);
    const adopted = (await storedRecords(place)).find((record) => record.action === "journal.adopt");
    expect(adopted?.outcome).toBe("failed");
  });

  it("does not overwrite what the store holds in the place of a journal's line", async () => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    await trail.flush();
    const [own] = await place.store.read((tables) => tables.auditLines.list());
    await place.store.transaction((tables) =>
      tables.auditLines.insert({ writer: own?.writer ?? "", sequence: 3, line: Buffer.from("{}") }),
    );
    await trail.record(numbered(2));
    await expect(trail.flush()).rejects.toMatchObject({ code: "AUDIT_TAMPERED" });
    await trail.record(numbered(3));
    await trail.close();
    expect(await journalsIn(place)).toHaveLength(1);
    expect((await place.verify()).findings).toMatchObject([{ kind: "record", sequence: 3 }]);
  });
});

describe("the witness", () => {
  it("holds the newest checkpoint, readable by its owner only", async () => {
    const place = await newPlace();
    await (await place.open()).close();
    const witness: unknown = JSON.parse(await readFile(join(place.directory, "checkpoint.json"), "utf8"));
    expect(witness).toEqual({ store: storeId, generation: await place.store.generation(), checkpoint: (await place.verify()).newest });
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
  });

  it("notices a store that was put back, until a person accepts it", async () => {
    const place = await newPlace();
    const first = await place.open();
    expect(first.witness).toEqual({ witness: undefined, problem: undefined });
    await first.close();
    const yesterday = await newStore();
    const older = { ...place, store: yesterday };
    const trail = await place.open({ store: yesterday });
    expect(trail.witness.problem).toContain("older");
    await trail.record(numbered(1));
    await trail.flush();
    expect((await place.verify({ store: yesterday })).findings).toMatchObject([{ kind: "witness" }]);
    await trail.acceptWitness();
    expect(trail.witness.problem).toBeUndefined();
    expect((await place.verify({ store: yesterday })).findings).toEqual([]);
    await trail.close();
    expect((await storedRecords(older)).map((record) => record.action)).toContain("audit.accept-witness");
  });

  it.each([
    ["damaged", "{"],
    ["of another store", JSON.stringify({ store: "another", generation: 1, checkpoint: "ab".repeat(32) })],
    ["of a newer manifest", ""],
  ])("is not replaced when it is %s", async (_, text) => {
    const place = await newPlace();
    await (await place.open()).close();
    const { newest } = await place.verify();
    const witness = text === "" ? JSON.stringify({ store: storeId, generation: 1_000_000, checkpoint: newest }) : text;
    const path = join(place.directory, "checkpoint.json");
    await writeFile(path, witness);
    const trail = await place.open();
    expect(trail.witness.problem).toBeDefined();
    await trail.close();
    expect(await readFile(path, "utf8")).toBe(witness);
    expect((await place.verify()).findings).toMatchObject([{ kind: "witness" }]);
  });
});
