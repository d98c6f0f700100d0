import { beforeAll, describe, expect, it } from "vitest";
import type { AuditStore } from "../../src/audit/audit-store.ts";
import { type AuditRecordView, newestRecords, type NewestPoint } from "../../src/audit/newest-records.ts";
import { parseRecord } from "../../src/audit/record.ts";
import { type AuditRows, readRows, storeOf } from "./support/rows.ts";
import { newPlace, numbered, type TrailPlace } from "./support/trail.ts";
import { watchStore } from "./support/watched-store.ts";

const rounds = 60;
let place: TrailPlace;
let rows: AuditRows;
let newest: NewestPoint;

/** Two writers that live all the while and one in each round that soon ends; their records take turns. */
beforeAll(async () => {
  place = await newPlace();
  const lasting = [await place.open(), await place.open()];
  let number = 0;
  for (let round = 0; round < rounds; round++) {
    const brief = await place.open();
    for (const trail of [...lasting, brief]) {
      place.clock.advance(7);
      await trail.record(numbered(number++));
    }
    await brief.close();
  }
  for (const trail of lasting) await trail.close();
  rows = await readRows(place.store);
  newest = { checkpoint: (await place.verify()).newest ?? "", writers: [] };
});

async function take(store: AuditStore, from: NewestPoint, count = Number.POSITIVE_INFINITY): Promise<AuditRecordView[]> {
  const taken: AuditRecordView[] = [];
  for await (const { record } of newestRecords(store, from)) {
    taken.push(record);
    if (taken.length === count) break;
  }
  return taken;
}

function numbersOf(records: readonly AuditRecordView[]): number[] {
  return records
    .flatMap((record) => parseRecord(Buffer.from(JSON.stringify(record)))?.detail?.["number"])
    .filter((number) => typeof number === "number");
}

const allNumbers = Array.from({ length: 3 * rounds }, (_, index) => 3 * rounds - 1 - index);

describe("newestRecords", () => {
  it("gives every record once, the newest first, whoever wrote it", async () => {
    const records = await take(place.store, newest);
    expect(numbersOf(records)).toEqual(allNumbers);
    expect(records).toHaveLength(rows.lines.length);
    expect(new Set(records.map(({ id }) => id)).size).toBe(rows.lines.length);
  });

  it("reads no more than it is asked for", async () => {
    const watched = watchStore(place.store);
    expect(numbersOf(await take(watched.store, newest, 20))).toEqual(
      allNumbers.slice(0, numbersOf(await take(place.store, newest, 20)).length),
    );
    expect(watched.unbounded).toEqual([]);
    expect(watched.lists.length).toBeLessThan(20);
    // A page of each lasting writer, and the few records of brief ones.
    expect(watched.lists.reduce((sum, count) => sum + count, 0)).toBeLessThan(2 * 100 + 20);
  });

  it("has the records that no checkpoint covers, when it is told who may have some", async () => {
    const live = await newPlace();
    const trail = await live.open({ signer: () => undefined });
    const other = await live.open();
    await trail.record(numbered(1));
    await trail.flush();
    await other.record(numbered(2));
    await other.flush();
    live.clock.advance(10);
    await trail.record(numbered(3));
    await trail.flush();
    const numbers = numbersOf(await take(live.store, await other.newestPoint()));
    expect(numbers[0]).toBe(3);
    expect(numbers.sort()).toEqual([1, 2, 3]);
    await Promise.all([trail.close(), other.close()]);
  });

  it("gives nothing from an empty store", async () => {
    expect(await take((await newPlace()).store, { checkpoint: "", writers: ["nobody"] })).toEqual([]);
  });
});

describe("newestRecords of a store that somebody changed", () => {
  const changed = (changes: Partial<AuditRows>): AuditStore => storeOf({ ...rows, ...changes }, 1_000);
  const everyNumber = async (changes: Partial<AuditRows>, from = newest): Promise<void> => {
    const numbers = numbersOf(await take(changed(changes), from));
    expect(numbers.toSorted((a, b) => b - a)).toEqual(allNumbers);
  };

  it("gives every record without its checkpoints, and behind one that is gone", async () => {
    await everyNumber({ checkpoints: [] });
    await everyNumber({}, { checkpoint: "", writers: [] });
    await everyNumber({}, { checkpoint: "ab".repeat(32), writers: [] });
    const middle = rows.checkpoints.find(({ previous, hash }) => previous !== "" && hash !== newest.checkpoint);
    await everyNumber({ checkpoints: rows.checkpoints.filter((row) => row !== middle) });
  });

  it("ends when checkpoints go round in a circle", async () => {
    const last = rows.checkpoints.find(({ hash }) => hash === newest.checkpoint);
    const first = rows.checkpoints.find(({ previous }) => previous === "");
    if (last === undefined || first === undefined) throw new Error("there are checkpoints");
    await everyNumber({ checkpoints: rows.checkpoints.map((row) => (row === first ? { ...row, previous: last.hash } : row)) });
    await everyNumber({ checkpoints: rows.checkpoints.map((row) => (row === last ? { ...row, previous: last.hash } : row)) });
  });

  it("goes on behind a checkpoint that can't be read", async () => {
    const body = new Uint8Array(3);
    const numbers = numbersOf(
      await take(
        changed({ checkpoints: rows.checkpoints.map((row) => (row.hash === newest.checkpoint ? { ...row, body } : row)) }),
        newest,
      ),
    );
    expect(numbers.length).toBeGreaterThan(rounds);
  });

  it("shows where a line is that is no record any more, and all others", async () => {
    const [target] = rows.lines;
    if (target === undefined) throw new Error("there are lines");
    for (const text of ["{", "7", "null", '"text"']) {
      const lines = rows.lines.map((row) => (row === target ? { ...row, line: Buffer.from(text) } : row));
      const records = await take(changed({ lines }), newest);
      expect(records).toHaveLength(rows.lines.length);
      expect(records).toContainEqual({ writer: target.writer, sequence: target.sequence });
    }
  });
});
