import { describe, expect, it, vi } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { Gate, openWithParts } from "../support/test-parts.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

const masterKeys = { ...testMasterKeys, other: { bytes: canaries.importedKey.bytes } };

/** A store with key `near` under one KEK and key `far` under another. */
async function withTwoKeks() {
  const options = { ...fileStore(temporaryFolder()), masterKeys };
  const first = await initKeystead({ ...options, settings: { refreshBound: 40 } });
  await first.keys.create({ name: "near", purpose: "pii" });
  await first.routes.set({ purpose: "medical" }, "local:other");
  await first.keys.create({ name: "far", purpose: "medical" });
  return { first, options };
}

describe("a KEK that fails", () => {
  it("does not keep a suspension, or a lease, from other keys", async () => {
    const { first, options } = await withTwoKeks();
    let broken = false;
    const second = await openWithParts(options, {
      kekHook: (_, { kekUri }) => (broken && kekUri === "local:other" ? Promise.reject(new Error("down")) : Promise.resolve()),
    });
    const [far, near] = [await second.open("far"), await second.open("near")];
    const sealed = near.encrypt("x");
    broken = true;
    await first.keys.rotate("far");
    await first.keys.suspend("near", 1);
    await vi.waitFor(async () => expect(await codeOf(() => near.decrypt(sealed))).toBe("KEY_STATE"), { timeout: 1000, interval: 10 });
    expect(await codeOf(() => far.encrypt("x"))).toBe("KEY_VERSION_NOT_LOADED");
    await expect(async () => far.encrypt("x")).rejects.toThrow(/KEK does not open it.*local:other/);
    expect(await codeOf(second.refresh())).toBe("no error");
    broken = false;
    await second.refresh();
    expect(far.encrypt("x")).toMatch(/^ks1:far:2-/);
    await first.close();
  });

  it("is asked again without anybody's doing", async () => {
    const { first, options } = await withTwoKeks();
    const clock = new TestClock();
    let broken = false;
    const second = await openWithParts(
      { ...options, clock },
      { kekHook: () => (broken ? Promise.reject(new Error("down")) : Promise.resolve()) },
    );
    const far = await second.open("far");
    broken = true;
    await first.keys.rotate("far");
    await vi.waitFor(async () => expect(await codeOf(() => far.encrypt("x"))).toBe("KEY_VERSION_NOT_LOADED"), { interval: 10 });
    broken = false;
    clock.advance(5000);
    await vi.waitFor(() => expect(far.encrypt("x")).toMatch(/^ks1:far:2-/), { interval: 10 });
    await first.close();
  });

  it("does not hold up others while it is slow", async () => {
    const { first, options } = await withTwoKeks();
    const gate = new Gate();
    let slow = false;
    const second = await openWithParts(options, {
      kekHook: (call, { kekUri }) => (slow && call === "unwrap" && kekUri === "local:other" ? gate.pass() : Promise.resolve()),
    });
    const [far, near] = [await second.open("far"), await second.open("near")];
    const sealed = near.encrypt("x");
    const old = far.encrypt("x");
    slow = true;
    await first.keys.rotate("far");
    await gate.reached();
    await first.keys.suspend("near", 1);
    await first.keys.suspend("far", 1);
    await vi.waitFor(async () => expect(await codeOf(() => near.decrypt(sealed))).toBe("KEY_STATE"), { timeout: 1000, interval: 10 });
    await vi.waitFor(async () => expect(await codeOf(() => far.decrypt(old))).toBe("KEY_STATE"), { timeout: 1000, interval: 10 });
    gate.open();
    await vi.waitFor(() => expect(far.encrypt("x")).toMatch(/^ks1:far:2-/), { timeout: 1000, interval: 10 });
    await first.close();
  });
});

describe("loading a key", () => {
  it("does not miss a suspension that happens while its KEK is asked", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await first.keys.create({ name: "k", purpose: "pii" });
    const sealed = await first.encrypt("k", "x");
    const gate = new Gate();
    let slow = false;
    const second = await openWithParts(options, { kekHook: () => (slow ? gate.pass() : Promise.resolve()) });
    slow = true;
    const opening = second.open("k");
    await gate.reached();
    await first.keys.suspend("k", 1);
    await second.refresh();
    gate.open();
    const key = await opening;
    expect(await codeOf(() => key.decrypt(sealed))).toBe("KEY_STATE");
    await first.close();
  });

  it("asks the KEK once for many callers, and again after a failure", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    await first.close();
    let asked = 0;
    let broken = false;
    const second = await openWithParts(options, {
      kekHook: () => {
        asked += 1;
        return broken ? Promise.reject(new Error("down")) : Promise.resolve();
      },
    });
    broken = true;
    expect(await codeOf(second.encrypt("k", "x"))).toBe("KEK_FAILED");
    broken = false;
    asked = 0;
    await Promise.all(Array.from({ length: 20 }, () => second.encrypt("k", "x")));
    expect(asked).toBe(1);
  });
});

describe("the refresh bound", () => {
  it("is followed by processes that are running", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    const second = await openTestKeystead(options);
    await first.settings.set("refreshBound", 20);
    const key = await second.open("k");
    for (let round = 0; round < 10; round += 1) {
      await first.keys.rotate("k");
      const sealed = await first.encrypt("k", "x");
      expect(key.decryptText(sealed)).toBe("x");
    }
    await first.close();
  });
});

describe("what is due", () => {
  it("is done within moments after its date, not within a minute", async () => {
    const folder = temporaryFolder();
    const clock = new TestClock();
    const keystead = await initKeystead({ ...fileStore(folder), clock, settings: { refreshBound: 20 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const begin = clock.now();
    const dates = [1, 2, 3, 4, 5, 6].map((days) => new Date(begin + days * day));
    for (const activateAt of dates) await keystead.keys.rotate("k", { activateAt });
    const soon = { timeout: 1000, interval: 30 };
    for (const [index, date] of dates.entries()) {
      clock.advance(date.getTime() - clock.now());
      await vi.waitFor(async () => expect((await keystead.keys.show("k")).versions[index + 1]?.state).toBe("active"), soon);
      clock.advance(20);
      await vi.waitFor(async () => expect((await keystead.keys.show("k")).currentVersion).toBe(index + 2), soon);
    }
    await keystead.close();
  });
});
