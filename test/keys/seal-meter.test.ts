import { describe, expect, it, onTestFinished } from "vitest";
import { createSecretKey } from "node:crypto";
import { KeysteadError } from "../../src/errors.ts";
import { readUsage } from "../../src/keys/ledger.ts";
import { sealBlocks, SealMeter } from "../../src/keys/seal-meter.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store } from "../../src/store/store.ts";
import { alteredStore } from "../support/test-parts.ts";
import { codeOf } from "../support/test-keystead.ts";

const counter = { keyId: "k", version: 1, datasetId: "" } as const;

async function openStore(): Promise<Store> {
  const store = await openMemoryStore();
  onTestFinished(() => store.close());
  const key = createSecretKey(Buffer.alloc(32, 1));
  await store.create({ id: "s", demo: false, createdAt: 0 }, key, () => Promise.resolve());
  return store;
}

const stored = async (store: Store): Promise<number> => (await store.read((tables) => readUsage(tables, "k", 1))).sealsOutsideDatasets;

function take(meter: SealMeter, times: number): void {
  for (let count = 0; count < times; count += 1) meter.take();
}

/** As an application seals: one after the other, and the event loop runs in between. */
async function takeYielding(meter: SealMeter, times: number): Promise<number> {
  for (let taken = 0; taken < times; taken += 1) {
    try {
      meter.take();
    } catch (error) {
      if (error instanceof KeysteadError && error.code === "KEY_BUDGET_EXHAUSTED") return taken;
      throw error;
    }
    if (taken % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}

async function giveBack(meter: SealMeter, store: Store): Promise<void> {
  const change = await meter.takeChange(true);
  if (change === undefined) return;
  await store.transaction(async (tables) => {
    const row = await tables.counters.get(counter);
    if (row !== undefined) await tables.counters.update({ ...row, seals: row.seals + change.seals });
  });
  change.settle(true);
}

describe("a seal meter", () => {
  it("lets nothing be sealed before a block is leased", async () => {
    for (const limit of [undefined, 1000]) {
      const store = await openStore();
      const meter = new SealMeter(store, counter, limit);
      expect(await codeOf(() => meter.take())).toBe("KEY_BUDGET_NOT_LEASED");
      await meter.prepare();
      meter.take();
      expect(await stored(store)).toBeGreaterThan(0);
    }
  });

  it.each([undefined, 2 ** 32])(
    "leases the next block before one is used up, so that a caller who yields never waits (limit %s)",
    async (limit) => {
      const store = await openStore();
      const meter = new SealMeter(store, counter, limit);
      await meter.prepare();
      let taken = 0;
      for (; taken < 4 * sealBlocks.first; taken += 1) {
        meter.take();
        if (taken % 4096 !== 0) continue;
        await new Promise((resolve) => setImmediate(resolve));
        expect(await stored(store)).toBeGreaterThan(taken);
      }
      await giveBack(meter, store);
      expect(await stored(store)).toBe(taken);
    },
  );

  it("never goes beyond its limit, whoever seals at once, and lets others have what was given back", async () => {
    const store = await openStore();
    const limit = sealBlocks.first + 5000;
    const meters = [0, 1, 2].map(
      (dataset) => new SealMeter(store, { ...counter, datasetId: dataset === 0 ? "" : `d${String(dataset)}` }, limit),
    );
    const [first, second, third] = meters;
    if (first === undefined || second === undefined || third === undefined) throw new Error("no meters");
    await Promise.all([first.prepare(), second.prepare()]);
    expect(await codeOf(third.prepare())).toBe("KEY_BUDGET_EXHAUSTED");
    expect(await takeYielding(second, 10_000)).toBe(5000);
    take(first, 100);
    await giveBack(first, store);
    await third.prepare();
    expect(await takeYielding(third, 2 * limit)).toBe(limit - 5000 - 100);
    expect(await codeOf(() => third.take())).toBe("KEY_BUDGET_EXHAUSTED");
    const rows = await store.read((tables) => tables.counters.list());
    expect(rows.reduce((sum, row) => sum + row.seals, 0)).toBe(limit);
  });

  it("stops at the block where messages are counted, and overdraws where they are not", async () => {
    const store = await openStore();
    const limited = new SealMeter(store, counter, 2 ** 32);
    await limited.prepare();
    expect(await codeOf(() => take(limited, sealBlocks.first + 1))).toBe("KEY_BUDGET_NOT_LEASED");
    const free = new SealMeter(store, { ...counter, version: 2 }, undefined);
    await free.prepare();
    take(free, sealBlocks.first + 500);
    const overdraft = await free.takeChange(false);
    const { sealsOutsideDatasets } = await store.read((tables) => readUsage(tables, "k", 2));
    expect(sealsOutsideDatasets - free.unused + (overdraft?.seals ?? 0)).toBe(sealBlocks.first + 500);
  });

  it("counts an overdraft once, also when it is written while the next block is leased", async () => {
    const store = await openStore();
    const meter = new SealMeter(store, counter, undefined);
    await meter.prepare();
    take(meter, sealBlocks.first + 7);
    await giveBack(meter, store);
    expect(await stored(store)).toBe(sealBlocks.first + 7);
  });

  it("keeps what a failed write did not store, and does not take back what may have been given back", async () => {
    const store = await openStore();
    const meter = new SealMeter(store, counter, undefined);
    await meter.prepare();
    take(meter, sealBlocks.first + 7);
    const change = await meter.takeChange(false);
    change?.settle(false);
    await giveBack(meter, store);
    expect(await stored(store)).toBe(sealBlocks.first + 7);
    await meter.prepare();
    const lost = await meter.takeChange(true);
    lost?.settle(false);
    expect(meter.unused).toBe(0);
    expect(await stored(store)).toBeGreaterThan(sealBlocks.first + 7);
  });

  it("does not ask a store that fails for each seal, and goes on when it answers again", async () => {
    const store = await openStore();
    let asked = 0;
    let full = false;
    const failing = alteredStore(store, {
      transaction: (work) => {
        asked += 1;
        return full ? Promise.reject(new KeysteadError("STORE_FULL", "there is no space left for the store")) : store.transaction(work);
      },
    });
    const meter = new SealMeter(failing, counter, 2 ** 32);
    await meter.prepare();
    full = true;
    expect(await codeOf(takeYielding(meter, sealBlocks.first + 1))).toBe("KEY_BUDGET_NOT_LEASED");
    expect(asked).toBeLessThan(50);
    await expect(async () => meter.take()).rejects.toThrow(/no space left/);
    full = false;
    await meter.prepare();
    meter.take();
  });

  it("leases also when the seal that needs it is made inside of a transaction", async () => {
    const store = await openStore();
    const meter = new SealMeter(store, counter, undefined);
    await meter.prepare();
    await store.transaction(async () => take(meter, sealBlocks.first));
    await expect.poll(() => meter.unused).toBeGreaterThan(0);
  });
});
