import { describe, expect, it } from "vitest";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import { testStore } from "../../src/testing/store.ts";
import { metadataKey, newIdentity, noRows, newMemoryPlace } from "./places.ts";

testStore({ name: "memory", describe, it, open: newMemoryPlace });

describe("openMemoryStore", () => {
  it("opens a store of its own each time", async () => {
    const [one, other] = [await openMemoryStore(), await openMemoryStore()];
    expect(one.url).toBe("memory:");
    await one.create(newIdentity, metadataKey, noRows);
    expect([await one.exists(), await other.exists()]).toEqual([true, false]);
    await Promise.all([one.close(), other.close()]);
  });
});
