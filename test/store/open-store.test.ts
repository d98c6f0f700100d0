import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { codeOf, temporaryFolder } from "./places.ts";

const clock = systemClock;

describe("openStore", () => {
  it("opens each kind of store by its scheme", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "a store #1%20.db");
    for (const url of ["memory:", `sqlite:${path}`]) {
      const store = await openStore(url, { clock, create: true });
      expect(store.url).toBe(url);
      expect(await store.exists()).toBe(false);
      await store.close();
    }
    expect(existsSync(path)).toBe(true);
  });

  it.each(["", "keystead.db", "postgres:x", "SQLITE:x", "constructor:x", "__proto__:x", ":x", "memory:x", "sqlite:", "sqlite:a\0b"])(
    "refuses %j",
    async (url) => {
      expect(await codeOf(async () => await openStore(url, { clock, create: true }))).toBe("INVALID_ARGUMENT");
    },
  );

  it.each([-1, Number.NaN, Infinity, 3_600_001])("refuses %d milliseconds as busyTimeout", async (busyTimeout) => {
    using folder = temporaryFolder();
    const open = async (): Promise<unknown> => await openStore(`sqlite:${join(folder.path, "a.db")}`, { clock, create: true, busyTimeout });
    expect(await codeOf(open)).toBe("INVALID_ARGUMENT");
  });
});
