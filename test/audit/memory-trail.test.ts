import { describe, expect, it } from "vitest";
import { MemoryTrail } from "../../src/audit/memory-trail.ts";
import { parseRecord } from "../../src/audit/record.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { breakable, newSigner, newStore, storeId } from "./support/audit-store.ts";
import { ManualClock, until } from "./support/manual-clock.ts";
import { readRows } from "./support/rows.ts";
import { findKeys, numbered, storedNumbers } from "./support/trail.ts";

describe("MemoryTrail", () => {
  it("writes the same chain straight into the store, with checkpoints", async () => {
    const store = await newStore();
    const clock = new ManualClock();
    const signer = newSigner();
    const trail = await MemoryTrail.open({ store, storeId, clock, random: systemRandom, signer: () => signer });
    await Promise.all([1, 2, 3].map((number) => trail.record(numbered(number))));
    const actions = (await readRows(store)).lines.map(({ line }) => parseRecord(line)?.action);
    expect(actions).toEqual(["journal.open", "keys.rotate", "keys.rotate", "keys.rotate"]);
    clock.advance(1000);
    await until(async () => (await readRows(store)).checkpoints.length === 1);
    await trail.close();
    await trail.close();
    const report = await verifyAudit({ store, storeId, findPublicKey: findKeys(signer) });
    expect(report).toMatchObject({ findings: [], writers: 1, records: 5, checkpoints: 2, uncovered: 0 });
    await expect(trail.record(numbered(4))).rejects.toMatchObject({ code: "CLOSED" });
    expect(clock.waiting).toBe(0);
  });

  it("lets the event loop turn, however many callers record", async () => {
    const trail = await MemoryTrail.open({
      store: await newStore(),
      storeId,
      clock: new ManualClock(),
      random: systemRandom,
      signer: () => undefined,
    });
    let hasTurned = false;
    setImmediate(() => {
      hasTurned = true;
    });
    let recorded = 0;
    const caller = async (): Promise<void> => {
      for (; !hasTurned && recorded < 2_000; recorded++) await trail.record(numbered(1));
    };
    await Promise.all(Array.from({ length: 40 }, caller));
    expect(recorded).toBeLessThan(2_000);
    await trail.close();
  });

  it("has stored and covered everything that was recorded before a flush, answered or not", async () => {
    const store = await newStore();
    const signer = newSigner();
    const trail = await MemoryTrail.open({ store, storeId, clock: new ManualClock(), random: systemRandom, signer: () => signer });
    const recorded = Array.from({ length: 50 }, (_, number) => trail.record(numbered(number)));
    await trail.flush();
    expect(await storedNumbers({ store })).toHaveLength(50);
    expect(await verifyAudit({ store, storeId, findPublicKey: findKeys(signer) })).toMatchObject({ findings: [], uncovered: 0 });
    await Promise.all(recorded);
    await trail.close();
  });

  it("refuses records that the store does not take", async () => {
    let failure: Error | undefined;
    const store = breakable(await newStore(), () => failure);
    const trail = await MemoryTrail.open({ store, storeId, clock: new ManualClock(), random: systemRandom, signer: () => undefined });
    failure = new Error("closed");
    await expect(trail.record(numbered(1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: failure });
    failure = undefined;
    await expect(trail.record(numbered(2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await trail.close();
  });
});
