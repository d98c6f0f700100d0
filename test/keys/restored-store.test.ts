import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { initKeystead, type KeysteadOptions } from "../../src/keystead.ts";
import { generationOf } from "../support/parts.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const checkpointSchema = z.object({ generation: z.int() });

/** A store with key `g` of counted nonces and key `x`, closed, with means to keep and to put back copies. */
async function storeWithCopies(clock?: TestClock) {
  const folder = temporaryFolder();
  const options: KeysteadOptions = { ...fileStore(folder), ...(clock !== undefined && { clock }) };
  const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
  await first.keys.create({ name: "g", purpose: "pii", algorithm: "AES-256-GCM" });
  await first.keys.create({ name: "x", purpose: "pii" });
  await first.close();
  const file = join(folder, "keystead.db");
  return {
    options,
    keep: (name: string) => copyFileSync(file, join(folder, name)),
    putBack: (name: string) => copyFileSync(join(folder, name), file),
    /** What the newest checkpoint says that this host keeps beside the store. */
    seenGeneration: () => checkpointSchema.parse(JSON.parse(readFileSync(join(folder, "audit", "checkpoint.json"), "utf8"))).generation,
  };
}

describe("a store that was put back from a copy", () => {
  it("is noticed; counted nonces seal nothing until the key is rotated; unknown versions are named", async () => {
    const { options, keep, putBack } = await storeWithCopies();
    keep("yesterday.db");
    const second = await openTestKeystead(options);
    await second.keys.rotate("x");
    const newer = await second.encrypt("x", "today");
    await second.close();
    putBack("yesterday.db");

    const restored = await openTestKeystead(options);
    expect(await codeOf(restored.encrypt("g", "x"))).toBe("STORE_RESTORED");
    expect(await restored.encrypt("x", "y")).toMatch(/^ks1:x:1-/);
    expect(await codeOf(restored.decrypt(newer))).toBe("UNKNOWN_FINGERPRINT");
    const history = (await restored.doctor.examine()).filter((finding) => finding.check === "store history");
    expect(history.map((finding) => finding.status)).toEqual(["failed", "warning"]);
    expect(history[1]?.message).toContain("run `keystead keys rotate g`");
    await restored.keys.rotate("g");
    expect(await restored.encrypt("g", "x")).toMatch(/^ks1:g:2-/);
    await restored.close();

    const again = await openTestKeystead(options);
    expect(await again.encrypt("g", "x")).toMatch(/^ks1:g:2-/);
    await again.audit.acceptRestoredStore();
    const accepted = (await again.doctor.examine()).filter((finding) => finding.check === "store history");
    expect(accepted.map((finding) => finding.status)).toEqual(["good"]);
  });

  it("goes on above the newest generation that this host saw, so that nobody takes old rows for newer ones", async () => {
    const { options, keep, putBack, seenGeneration } = await storeWithCopies();
    const yesterday = await generationOf(options);
    keep("yesterday.db");
    const second = await openTestKeystead(options);
    for (let round = 0; round < 20; round += 1) await second.keys.setAlias(`alias-${String(round)}`, "x");
    await second.close();
    const seen = seenGeneration();
    expect(seen).toBeGreaterThanOrEqual(yesterday + 20);
    putBack("yesterday.db");
    expect(await generationOf(options)).toBe(yesterday);
    await (await openTestKeystead(options)).close();
    expect(await generationOf(options)).toBeGreaterThan(seen);
  });

  it("is noticed when only seals were made since, which change no metadata", async () => {
    const { options, keep, putBack } = await storeWithCopies();
    keep("yesterday.db");
    const second = await openTestKeystead(options);
    await second.encrypt("g", "today");
    await second.close();
    putBack("yesterday.db");
    const restored = await openTestKeystead(options);
    expect(await codeOf(restored.encrypt("g", "x"))).toBe("STORE_RESTORED");
  });

  it("is noticed when it is a fork that went on elsewhere, further than this one", async () => {
    const { options, keep, putBack } = await storeWithCopies();
    keep("yesterday.db");
    const elsewhere = { ...options, auditDirectory: join(temporaryFolder(), "audit") };
    const fork = await openTestKeystead(elsewhere);
    for (let round = 0; round < 5; round += 1) await fork.keys.rotate("x");
    await fork.close();
    keep("fork.db");
    putBack("yesterday.db");
    const here = await openTestKeystead(options);
    await here.encrypt("g", "x");
    await here.close();
    putBack("fork.db");
    const restored = await openTestKeystead(options);
    expect(await codeOf(restored.encrypt("g", "x"))).toBe("STORE_RESTORED");
    await restored.keys.rotate("g");
    await restored.encrypt("g", "x");
    await restored.close();
    const again = await openTestKeystead(options);
    expect(await again.encrypt("g", "x")).toMatch(/^ks1:g:2-/);
  });

  it("stops versions that a fast clock made, and lets those go on that are made since, by whatever clock", async () => {
    const fast = new TestClock(Date.UTC(2027, 0, 9));
    const { options, keep, putBack } = await storeWithCopies(fast);
    keep("yesterday.db");
    const second = await openTestKeystead(options);
    await second.encrypt("g", "today");
    await second.close();
    putBack("yesterday.db");
    const corrected = { ...options, clock: new TestClock(fast.now() - day) };
    const restored = await openTestKeystead(corrected);
    expect(await codeOf(restored.encrypt("g", "x"))).toBe("STORE_RESTORED");
    await restored.keys.rotate("g");
    expect(await restored.encrypt("g", "x")).toMatch(/^ks1:g:2-/);
    await restored.keys.create({ name: "new", purpose: "pii", algorithm: "AES-256-GCM" });
    expect(await restored.encrypt("new", "x")).toMatch(/^ks1:new:1-/);
  });
});
