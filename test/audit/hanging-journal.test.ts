import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import type { OpenJournalFile } from "../../src/audit/journal-file.ts";
import { ControlledFile } from "./support/journal-file.ts";
import { until } from "./support/manual-clock.ts";
import { newPlace, numbered, storedNumbers, type TrailPlace } from "./support/trail.ts";

async function journalsIn({ directory }: TrailPlace): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(".jsonl"));
}

/** Lets seconds pass, each of which is seen by who waits for it. */
async function pass({ clock }: TrailPlace, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What something ended with, or why it did not. */
function outcomeOf(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => error);
}

/** A trail whose disk does not take its first event. */
async function openHeld() {
  const place = await newPlace();
  const file = new ControlledFile();
  const trail = await place.open({ openFile: file.openFile });
  file.hold();
  const writing = outcomeOf(trail.record(numbered(1)));
  await until(() => file.writes === 2);
  return { place, file, trail, writing };
}

describe("a trail whose journal hangs", () => {
  it("refuses everything while its journal hangs, and goes on behind what that took when it works again", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    const refusal = { code: "AUDIT_UNAVAILABLE" };
    file.hold();
    const writing = outcomeOf(trail.record(numbered(1)));
    await until(() => file.writes === 2);
    const waiting = outcomeOf(trail.record(numbered(2)));
    await pass(place, 5);
    expect(trail.problems).toEqual([]);
    await pass(place, 1);
    expect([await writing, await waiting]).toMatchObject([refusal, refusal]);
    const message = expect.stringMatching(/within 5 s; see that its disk answers/) as string;
    expect(trail.problems).toMatchObject([{ where: "journal", hangs: true, cause: { message } }]);
    await expect(trail.record(numbered(3))).rejects.toMatchObject(refusal);
    // Nobody waits for it, and nothing else is written.
    await trail.recover();
    await trail.flush();
    expect(file.writes).toBe(2);
    expect(await storedNumbers(place)).toEqual([]);
    file.release();
    await until(() => trail.problems.length === 0);
    await trail.record(numbered(4));
    await trail.close();
    expect(await storedNumbers(place)).toEqual([1, 2, 4]);
    expect(await journalsIn(place)).toEqual([]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 1, uncovered: 0 });
    expect(place.clock.waiting).toBe(0);
  });

  it("tells by each write anew whether its journal hangs", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    for (let round = 0; round < 3; round++) {
      file.hold();
      const slow = trail.record(numbered(round));
      await until(() => file.writes === 2 + round);
      await pass(place, 4);
      file.release();
      await slow;
    }
    file.hold();
    const lost = outcomeOf(trail.record(numbered(3)));
    await until(() => file.writes === 5);
    await pass(place, 6);
    expect(await lost).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    file.release();
    await trail.close();
    expect(await storedNumbers(place)).toEqual([0, 1, 2, 3]);
  });

  it("goes on in a new journal when a write that hung has failed", async () => {
    const { place, file, trail, writing } = await openHeld();
    await pass(place, 6);
    expect(await writing).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    const gone = new Error("the device is gone");
    file.fail("datasync", gone);
    file.release();
    await until(() => trail.problems.every(({ hangs }) => hangs === undefined));
    expect(trail.problems).toEqual([{ where: "journal", cause: gone }]);
    file.repair();
    await trail.record(numbered(2));
    await trail.close();
    // What was written whole before it failed is kept, though it was answered as failed.
    expect((await storedNumbers(place)).sort()).toEqual([1, 2]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("closes without waiting for a journal that hangs, which the next process ships", async () => {
    const { place, file, trail, writing } = await openHeld();
    const closing = trail.close();
    await pass(place, 6);
    expect(await writing).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await closing;
    expect(trail.problems).toMatchObject([{ where: "journal", hangs: true }]);
    expect(file.closed).toBe(0);
    file.release();
    await until(() => file.closed === 1);
    await (await place.open()).close();
    expect(await storedNumbers(place)).toEqual([1]);
    expect((await place.verify()).findings).toEqual([]);
  });

  it("begins no other journal while the first write of a new one hangs, and says so", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const state = { opened: 0 };
    const openFile: OpenJournalFile = (path) => {
      state.opened += 1;
      return file.openFile(path);
    };
    const trail = await place.open({ openFile });
    file.fail("write", new Error("the device is gone"));
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    file.repair();
    file.hold();
    const waiting = outcomeOf(trail.record(numbered(2)));
    await until(() => file.writes === 3);
    await pass(place, 6);
    expect(await waiting).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    for (let round = 0; round < 5; round += 1) {
      await pass(place, 6);
      await trail.recover();
      expect(await outcomeOf(trail.record(numbered(3)))).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    }
    expect(state.opened).toBe(2);
    expect(trail.problems).toMatchObject([{ where: "journal", hangs: true }]);
    file.release();
    await until(() => trail.problems.every(({ hangs }) => hangs === undefined));
    await pass(place, 2);
    await trail.record(numbered(4));
    expect(trail.problems).toEqual([]);
    await trail.close();
    expect(await storedNumbers(place)).toEqual([4]);
    expect((await place.verify()).findings).toEqual([]);
  });

  it("ends without waiting for the first write of a new one", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const trail = await place.open({ openFile: file.openFile });
    file.fail("write", new Error("the device is gone"));
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    file.repair();
    file.hold();
    const waiting = outcomeOf(trail.record(numbered(2)));
    await until(() => file.writes === 3);
    await pass(place, 6);
    await waiting;
    await trail.close();
    expect(trail.problems).toMatchObject([{ where: "journal", hangs: true }]);
    file.release();
    await until(() => trail.problems.every(({ hangs }) => hangs === undefined));
  });

  it("refuses who waits for a new journal whose disk hangs", async () => {
    const place = await newPlace();
    const file = new ControlledFile();
    const opening = Promise.withResolvers<undefined>();
    const state = { holds: false };
    const openFile: OpenJournalFile = async (path) => {
      if (state.holds) await opening.promise;
      return file.openFile(path);
    };
    const trail = await place.open({ openFile });
    file.fail("write", new Error("the device is gone"));
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    file.repair();
    state.holds = true;
    const waiting = outcomeOf(trail.record(numbered(2)));
    await pass(place, 6);
    expect(await waiting).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    opening.resolve(undefined);
    await until(() => trail.problems.length === 0);
    await trail.record(numbered(3));
    await trail.close();
    expect(await storedNumbers(place)).toContain(3);
    expect((await place.verify()).findings).toEqual([]);
  });
});
