import { describe, expect, it } from "vitest";
import type { AuditStore, AuditTables } from "../../src/audit/audit-store.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { storeId } from "./support/audit-store.ts";
import { findKeys, leaveJournal, newPlace, numbered, type TrailPlace } from "./support/trail.ts";
import { watchStore } from "./support/watched-store.ts";

/** Records on several trails from many places at once while `work` runs. */
async function whileRecording(place: TrailPlace, trails: number, work: (flush: () => Promise<void>) => Promise<void>): Promise<void> {
  const opened = await Promise.all(Array.from({ length: trails }, () => place.open({ limits: { records: 100, bytes: 1_000_000 } })));
  let done = false;
  const recorders = opened.flatMap((trail) =>
    Array.from({ length: 10 }, async (_, number) => {
      while (!done) await trail.record(numbered(number));
    }),
  );
  try {
    await work(async () => {
      await Promise.all(opened.map((trail) => trail.flush()));
    });
  } finally {
    done = true;
    await Promise.all(recorders);
    await Promise.all(opened.map((trail) => trail.close()));
  }
}

describe("verifyAudit while many record", () => {
  it("counts nothing as unshipped that was flushed when it began, and finds nothing wrong", async () => {
    const place = await newPlace();
    await whileRecording(place, 3, async (flush) => {
      for (let round = 0; round < 6; round++) {
        const report = await place.verify({ flush });
        expect(report).toMatchObject({ findings: [], unshipped: 0, uncovered: 0 });
        expect(report.records).toBeGreaterThan(0);
      }
    });
    const report = await place.verify();
    expect(report).toMatchObject({ findings: [], unshipped: 0, uncovered: 0, torn: 0 });
    expect(report.writers).toBeGreaterThan(6);
  });

  it("counts what others have recorded and not shipped, and what was killed", async () => {
    const place = await newPlace();
    const own = await place.open();
    const other = await place.open();
    await leaveJournal(place.directory, 4);
    for (let number = 0; number < 10; number++) await Promise.all([own.record(numbered(number)), other.record(numbered(number))]);
    expect(await place.verify({ flush: () => own.flush() })).toMatchObject({ findings: [], records: 11, unshipped: 16, uncovered: 16 });
    await Promise.all([own.close(), other.close()]);
    expect(await place.verify()).toMatchObject({ findings: [], records: 24, unshipped: 5 });
  });
});

describe("what looks wrong because the audit went on meanwhile", () => {
  it.each([1, 2])("is looked at again, %i times", async (times) => {
    const place = await newPlace();
    const trail = await place.open();
    await trail.record(numbered(1));
    await trail.close();
    const late = lateCheckpoints(place.store, times);
    expect((await verifyAudit({ ...place, store: late, storeId, findPublicKey: findKeys(place.signer) })).findings).toEqual([]);
    const later = lateCheckpoints(place.store, 9);
    const { findings } = await verifyAudit({ ...place, store: later, storeId, findPublicKey: findKeys(place.signer) });
    expect(findings).toMatchObject([{ kind: "record", problem: expect.stringContaining("neither") as string }]);
  });
});

/** A store whose checkpoints come only after all of them were read so many times. */
function lateCheckpoints(store: AuditStore, times: number): AuditStore {
  let read = 0;
  const late = (tables: AuditTables): AuditTables => ({
    ...tables,
    checkpoints: {
      get: (key) => tables.checkpoints.get(key),
      insert: (row) => tables.checkpoints.insert(row),
      insertAll: (rows) => tables.checkpoints.insertAll(rows),
      list: async (where, page) => (page !== undefined && read++ < times ? [] : tables.checkpoints.list(where, page)),
    },
  });
  return {
    read: (work) => store.read((tables) => work(late(tables))),
    transaction: (work) => store.transaction(work),
    generation: () => store.generation(),
  };
}

describe("verifyAudit on a long audit", () => {
  it("reads page by page, and so does whoever takes over a journal", async () => {
    const place = await newPlace();
    await leaveJournal(place.directory, 2500);
    const watched = watchStore(place.store);
    const trail = await place.open({ store: watched.store });
    for (let number = 0; number < 110; number++) {
      await trail.record(numbered(number));
      await trail.flush();
    }
    await trail.close();
    expect(watched.unbounded).toEqual([]);
    watched.lists.length = 0;
    const report = await place.verify({ store: watched.store });
    expect(report).toMatchObject({ findings: [], records: 2614, checkpoints: 112, uncovered: 0 });
    expect(watched.unbounded).toEqual([]);
    expect(Math.max(...watched.lists)).toBe(100);
    expect(watched.lists.reduce((sum, rows) => sum + rows, 0)).toBeGreaterThanOrEqual(2614 + 2 * 112 - 1);
  });

  it("lets others run between its pages", async () => {
    const place = await newPlace();
    await leaveJournal(place.directory, 2000);
    await (await place.open()).close();
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    await verifyAudit({ store: place.store, storeId, findPublicKey: findKeys(place.signer) });
    running = false;
    expect(turns).toBeGreaterThan(19);
  });
});
