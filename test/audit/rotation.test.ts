import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FileTrail } from "../../src/audit/file-trail.ts";
import { openJournalFile } from "../../src/audit/journal-file.ts";
import { parseRecord, type AuditRecord } from "../../src/audit/record.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { systemClock } from "../../src/clock.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { KeysteadError } from "../../src/errors.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { breakable, createStore, sharedSigner, storeId } from "./support/audit-store.ts";
import { newDirectory } from "./support/directory.ts";
import { ManualClock, until } from "./support/manual-clock.ts";
import { AnsweringProgram } from "./support/answering-program.ts";
import { findKeys, newPlace, numbered, storedNumbers, type TrailPlace } from "./support/trail.ts";

const rotatingProcess = new URL("./support/rotating-process.ts", import.meta.url);
const ten = { records: 10, bytes: 1_000_000 };

async function journalsIn({ directory }: TrailPlace): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".jsonl"));
}

/** The stored chains by writer. */
async function storedChains({ store }: TrailPlace): Promise<Map<string, AuditRecord[]>> {
  const rows = await store.read((tables) => tables.auditLines.list());
  return Map.groupBy(
    rows.map(({ line }) => parseRecord(line)).filter((record) => record !== undefined),
    ({ writer }) => writer,
  );
}

async function recordSome(trail: FileTrail, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) await trail.record(numbered(number));
}

describe("a journal that grew long", () => {
  it("goes on in a new one, and goes", async () => {
    const place = await newPlace();
    const trail = await place.open({ limits: ten });
    const [first = ""] = await journalsIn(place);
    await recordSome(trail, 0, 8);
    await trail.flush();
    expect(await journalsIn(place)).toEqual([first]);
    await recordSome(trail, 8, 9);
    await trail.flush();
    // The last record of the old one is shipped with the next traffic, or after a second.
    expect(await journalsIn(place)).toHaveLength(2);
    place.clock.advance(1000);
    await until(async () => (await readdir(place.directory)).length === 3);
    const [second = ""] = await journalsIn(place);
    expect(second).not.toBe(first);
    expect((await readdir(place.directory)).sort()).toEqual([second, second.replace(".jsonl", ".lock"), "checkpoint.json"].sort());
    await recordSome(trail, 9, 12);
    await trail.close();
    const chains = await storedChains(place);
    const [before, after] = [first, second].map((name) => chains.get(name.replace(".jsonl", "")) ?? []);
    expect([before?.length, before?.at(-1)?.action]).toEqual([11, "journal.close"]);
    expect(after?.map(({ action }) => action)).toEqual(["journal.open", "keys.rotate", "keys.rotate", "keys.rotate", "journal.close"]);
    expect(after?.[0]?.detail).toMatchObject({ continues: before?.[0]?.writer });
    expect(before?.[0]?.detail).not.toHaveProperty("continues");
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, records: 16, unshipped: 0, uncovered: 0 });
    expect(place.clock.waiting).toBe(0);
  });

  it("is judged by its bytes, too", async () => {
    const place = await newPlace();
    const trail = await place.open({ limits: { records: 1000, bytes: 2000 } });
    await recordSome(trail, 0, 2);
    await trail.flush();
    expect(await journalsIn(place)).toHaveLength(1);
    await recordSome(trail, 2, 6);
    await trail.flush();
    expect(await journalsIn(place)).toHaveLength(2);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("has 10,000 records when nothing else is said", async () => {
    const place = await newPlace();
    const trail = await place.open();
    const record = async (count: number): Promise<void> => {
      await Promise.all(Array.from({ length: count }, (_, index) => trail.record(numbered(index))));
      await trail.flush();
    };
    await record(9_998);
    expect(await journalsIn(place)).toHaveLength(1);
    await record(1);
    expect(await journalsIn(place)).toHaveLength(2);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, records: 10_003, uncovered: 0 });
  });

  it("stays while there is no signer: it is all that proves its records", async () => {
    const place = await newPlace();
    const trail = await place.open({ limits: ten, signer: () => undefined });
    await recordSome(trail, 0, 20);
    await trail.flush();
    expect(await journalsIn(place)).toHaveLength(1);
    await trail.close();
  });

  it("stays while the store is down, and goes when all is shipped", async () => {
    const place = await newPlace();
    let down: Error | undefined;
    const trail = await place.open({ limits: ten, store: breakable(place.store, () => down) });
    down = new KeysteadError("STORE_BUSY", "the store is busy");
    await recordSome(trail, 0, 30);
    await expect(trail.flush()).rejects.toBe(down);
    expect(await journalsIn(place)).toHaveLength(1);
    down = undefined;
    await trail.flush();
    await recordSome(trail, 30, 31);
    await trail.flush();
    const [journal = ""] = await journalsIn(place);
    expect((await readFile(join(place.directory, journal), "utf8")).trimEnd().split("\n")).toHaveLength(2);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("goes on itself when no new one can be started, and says so", async () => {
    const place = await newPlace();
    let failure: Error | undefined;
    const openFile: typeof openJournalFile = (path) => (failure === undefined ? openJournalFile(path) : Promise.reject(failure));
    const trail = await place.open({ limits: ten, openFile });
    failure = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    await recordSome(trail, 0, 20);
    await expect(trail.flush()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: failure });
    expect(trail.problem).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect(await storedNumbers(place)).toHaveLength(20);
    await recordSome(trail, 20, 25);
    failure = undefined;
    place.clock.advance(1000);
    await until(() => trail.problem === undefined);
    await recordSome(trail, 25, 26);
    await trail.close();
    expect(await storedNumbers(place)).toEqual(expect.arrayContaining(Array.from({ length: 26 }, (_, number) => number)));
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("is not begun anew by a trail that is being closed", async () => {
    const place = await newPlace();
    const trail = await place.open({ limits: ten });
    await recordSome(trail, 0, 20);
    await Promise.all([trail.flush(), trail.close()]);
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 1, records: 22, uncovered: 0 });
  });

  it("ends with the trail when that is closed while it is begun", async () => {
    const place = await newPlace();
    const { promise: begun, resolve: begin } = Promise.withResolvers<undefined>();
    const { promise: gate, resolve: release } = Promise.withResolvers<undefined>();
    let journals = 0;
    const openFile: typeof openJournalFile = async (path) => {
      if (++journals === 2) {
        begin(undefined);
        await gate;
      }
      return openJournalFile(path);
    };
    const trail = await place.open({ limits: ten, openFile });
    await recordSome(trail, 0, 20);
    const flushed = trail.flush();
    await begun;
    const closed = trail.close();
    release(undefined);
    await Promise.all([flushed, closed]);
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, records: 24, uncovered: 0 });
  });

  it("loses and doubles nothing while many record, and leaves nothing open when it is closed meanwhile", async () => {
    const place = await newPlace();
    const trail = await place.open({ limits: ten });
    const answered: number[] = [];
    let next = 0;
    let closing: Promise<void> | undefined;
    const record = async (): Promise<void> => {
      while (closing === undefined) {
        const number = next++;
        await trail.record(numbered(number));
        answered.push(number);
        if (number % 5 === 0) await trail.flush();
        if (number === 400) closing = trail.close();
      }
    };
    await Promise.allSettled(Array.from({ length: 20 }, record));
    await closing;
    const stored = await storedNumbers(place);
    expect(new Set(stored).size).toBe(stored.length);
    expect(answered.filter((number) => !stored.includes(number))).toEqual([]);
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    const report = await place.verify();
    expect(report).toMatchObject({ findings: [], unshipped: 0, uncovered: 0 });
    expect(report.writers).toBeGreaterThan(5);
  });
});

describe("processes that begin new journals and are killed at any moment", () => {
  it("lose and double no record", async () => {
    const folder = await newDirectory();
    const directory = join(folder, "audit");
    const database = join(folder, "keystead.db");
    const store = await createStore(await openSqliteStore(database, { clock: systemClock, create: true }));
    const answered: number[] = [];
    for (let round = 0; round < 4; round++) {
      const programs = [1, 2].map(
        (place) => new AnsweringProgram(rotatingProcess, [database, directory, String((2 * round + place) * 1_000_000)]),
      );
      await Promise.all(
        programs.map(async (program) => {
          await program.answers(1 + ((systemRandom.bytes(1)[0] ?? 0) >> 1));
          answered.push(...(await program.kill()));
        }),
      );
    }
    const signer = sharedSigner();
    const trail = await FileTrail.open({ store, storeId, directory, clock: new ManualClock(), random: systemRandom, signer: () => signer });
    expect(trail.adopted.filter(({ problem }) => problem !== undefined)).toEqual([]);
    await trail.close();
    const stored = await storedNumbers({ store });
    expect(new Set(stored).size).toBe(stored.length);
    const known = new Set(stored);
    expect(answered.filter((number) => !known.has(number))).toEqual([]);
    // Only what a process was killed over before it had a record, or a witness, waits for its time.
    for (const name of (await readdir(directory)).filter((name) => name.endsWith(".jsonl"))) {
      expect(await readFile(join(directory, name), "utf8")).not.toContain("\n");
    }
    const report = await verifyAudit({ store, storeId, directory, findPublicKey: findKeys(signer) });
    expect(report).toMatchObject({ findings: [], unshipped: 0, uncovered: 0 });
    expect(report.writers).toBeGreaterThan(10);
    await store.close();
  });
});
