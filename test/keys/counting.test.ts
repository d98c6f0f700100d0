import { describe, expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { sealBlocks } from "../../src/keys/seal-meter.ts";
import type { Store } from "../../src/store/store.ts";
import { startChild } from "../support/child.ts";
import { day } from "../support/test-clock.ts";
import { openWithParts } from "../support/test-parts.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const program = new URL("sealing-process.ts", import.meta.url);

describe("counting seals", () => {
  it("never counts less than was sealed, even after a crash, and exactly after a close", async () => {
    const folder = temporaryFolder();
    const crashed = await initKeystead(fileStore(folder));
    await crashed.keys.create({ name: "k", purpose: "pii" });
    const key = await crashed.open("k");
    for (let count = 0; count < 10; count += 1) key.encrypt("x");
    const beside = await openTestKeystead(fileStore(folder));
    expect((await beside.keys.usage("k", 1)).sealsOutsideDatasets).toBeGreaterThanOrEqual(10);
    await crashed.close();
    expect((await beside.keys.usage("k", 1)).sealsOutsideDatasets).toBe(10);
  });

  it("lets a loop that never yields go on with XAES, and counts all of it", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    for (let count = 0; count < sealBlocks.first + 3000; count += 1) key.encrypt("x");
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(sealBlocks.first + 3000);
  });

  it("stops such a loop at the leased block where nonces are counted", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "g", purpose: "pii", algorithm: "AES-256-GCM" });
    const key = await keystead.open("g");
    const loop = (): void => {
      for (let count = 0; count <= sealBlocks.first; count += 1) key.encrypt("x");
    };
    expect(await codeOf(loop)).toBe("KEY_BUDGET_NOT_LEASED");
    await key.prepare();
    expect(key.encrypt("x")).toMatch(/^ks1:g:/);
  });

  it("counts opens and when, and names the dataset that seals were for", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    await keystead.decrypt(sealed);
    expect(await keystead.keys.usage("k", 1)).toMatchObject({
      opens: 1,
      lastOpenedAt: new Date(clock.now()).toISOString(),
      sealsInDatasets: 0,
    });
    expect(await codeOf(keystead.encrypt("k", "x", { dataset: "none" }))).toBe("UNKNOWN_DATASET");
  });

  it("is never below the truth when processes are killed while they seal", async () => {
    const options = fileStore(temporaryFolder());
    const beside = await initKeystead(options);
    await beside.keys.create({ name: "k", purpose: "pii" });
    await beside.keys.create({ name: "g", purpose: "pii", algorithm: "AES-256-GCM" });
    const sealed = { k: 0, g: 0 };
    for (const [round, name] of (["k", "g", "k", "g"] as const).entries()) {
      const child = startChild(program, [options.store, name]);
      let last = 0;
      for (let line = 0; line < 3 + 5 * round; line += 1) last = Number(await child.nextLine());
      await child.kill();
      sealed[name] += last;
      expect(last).toBeGreaterThan(0);
      expect((await beside.keys.usage(name, 1)).sealsOutsideDatasets).toBeGreaterThanOrEqual(sealed[name]);
    }
    await beside.close();
  });

  it("does not take the lease of a handle away when another one is closed, or somebody asks for the count", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "g", purpose: "pii", algorithm: "AES-256-GCM" });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("g");
    key.encrypt("x");
    const acts = [
      async () => (await keystead.open("k")).close(),
      async () => (await keystead.open("g")).close(),
      () => keystead.keys.usage("g", 1),
      () => keystead.doctor.examine(),
      () => keystead.keys.rotate("k"),
      () => keystead.refresh(),
    ];
    for (const act of acts) {
      await act();
      expect(key.encrypt("x")).toMatch(/^ks1:g:1-/);
    }
    expect((await keystead.keys.usage("g", 1)).sealsOutsideDatasets).toBe(1 + acts.length);
  });

  it("gives the lease of an old version back, so that nothing keeps it from its end", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    await keystead.keys.rotate("k");
    expect(key.encrypt("x")).toMatch(/^ks1:k:2-/);
    expect((await keystead.keys.destroy("k", 1)).status).toBe("scheduled");
    clock.advance(7 * day);
    await keystead.refresh();
    expect((await keystead.keys.destroy("k", 1)).status).toBe("destroyed");
    expect(key.encrypt("x")).toMatch(/^ks1:k:2-/);
    expect((await keystead.keys.usage("k", 2)).sealsOutsideDatasets).toBe(2);
  });

  it("gives it back also when the key was unloaded and loaded again in between", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await (await keystead.open("k")).close();
    clock.advance(day);
    await keystead.refresh();
    await keystead.open("k");
    await keystead.keys.rotate("k");
    expect((await keystead.keys.destroy("k", 1)).status).toBe("scheduled");
  });

  it("does not count what could not be sealed", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    const tooMany = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`n${String(index)}`, "x"]));
    expect(await codeOf(() => key.encrypt("x", tooMany))).toBe("INVALID_ARGUMENT");
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(0);
  });

  it("counts opens once, whoever asks at once", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    const sealed = key.encrypt("x");
    for (let count = 0; count < 5; count += 1) key.decrypt(sealed);
    await Promise.all(Array.from({ length: 8 }, () => keystead.keys.usage("k", 1)));
    key.decrypt(sealed);
    expect((await keystead.keys.usage("k", 1)).opens).toBe(6);
  });

  it("opens what an exhausted version sealed, and says that the key must be rotated", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await first.keys.create({ name: "g", purpose: "pii", algorithm: "ChaCha20-Poly1305" });
    const sealed = await first.encrypt("g", "x");
    const { id } = await first.keys.show("g");
    await first.close();
    let store: Store | undefined;
    const keystead = await openWithParts(options, { store: (opened) => (store = opened) });
    await store?.transaction(async (tables) => {
      const row = await tables.counters.get({ keyId: id, version: 1, datasetId: "" });
      if (row !== undefined) await tables.counters.update({ ...row, seals: 2 ** 32 });
    });
    const key = await keystead.open("g");
    expect(key.decryptText(sealed)).toBe("x");
    expect(await codeOf(() => key.encrypt("x"))).toBe("KEY_BUDGET_EXHAUSTED");
    await expect(keystead.encrypt("g", "x")).rejects.toThrow(/rotate/);
    const findings = (await keystead.doctor.examine()).filter(({ check }) => check === "keys");
    expect(findings).toMatchObject([{ status: "warning", message: expect.stringMatching(/of g has used 100 %.*keys rotate g/) as string }]);
    await keystead.keys.rotate("g");
    expect(key.encrypt("x")).toMatch(/^ks1:g:2-/);
  });

  it("keeps more keys in use at once than it keeps open", async () => {
    const { keystead } = await createTestKeystead();
    const names = Array.from({ length: 260 }, (_, index) => `k${String(index)}`);
    for (const name of names) await keystead.keys.create({ name, purpose: "pii" });
    const calls = [...names, ...names.toReversed()].map((name) => keystead.encrypt(name, name));
    for (const text of await Promise.all(calls)) expect(text).toMatch(/^ks1:k\d+:1-/);
    expect((await keystead.keys.usage("k7", 1)).sealsOutsideDatasets).toBe(2);
  });
});
