import { expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";

everywhere("keks", (openPlace) => {
  it("keeps routes and KEKs", async () => {
    const { api } = await openPlace();
    expect(await api.routes.list()).toEqual([{ kekUri: "local:main" }]);
    expect(await api.keks.list()).toMatchObject([{ uri: "local:main", available: true }]);
    expect(await api.keks.test("local:main")).toEqual({ available: true });
    expect(await api.keks.test("local:elsewhere")).toHaveProperty("problem");
    expect(await codeOf(api.keks.test("no URI"))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.routes.set({ purpose: "pii" }, "local:elsewhere"))).toBe("UNKNOWN_KEK");
    expect(await api.routes.set({ purpose: "pii" }, "local:main")).toMatchObject({ purpose: "pii", kekUri: "local:main" });
    expect(await api.routes.list()).toHaveLength(2);
  });

  it("learns of a KEK, and moves everything to it", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const sealed = await api.encrypt("k", "x");
    await api.keks.add("local:next");
    await api.keks.add("local:next");
    expect(await codeOf(api.keks.add("local:elsewhere"))).toBe("UNKNOWN_KEK");
    expect(await codeOf(api.keks.add("no URI"))).toBe("INVALID_ARGUMENT");
    const wrapped = async (): Promise<Record<string, number>> =>
      Object.fromEntries((await api.keks.list()).map(({ uri, wraps }) => [uri, wraps]));
    const before = await wrapped();
    const all = before["local:main"] ?? 0;
    expect(all).toBeGreaterThan(1);
    expect(before).toEqual({ "local:main": all, "local:next": 0 });
    const told: unknown[] = [];
    expect(await api.keks.rotate("local:main", "local:next", (progress) => told.push(progress))).toEqual({ done: all, total: all });
    expect(told.at(-1)).toEqual({ done: all, total: all });
    expect(await wrapped()).toEqual({ "local:main": 0, "local:next": all });
    expect(await api.routes.list()).toEqual([{ kekUri: "local:next" }]);
    expect(await api.decryptText(sealed)).toBe("x");
    expect(await codeOf(api.keks.rotate("local:next", "local:next"))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.keks.rotate("local:next", "local:elsewhere"))).toBe("UNKNOWN_KEK");
    expect(await codeOf(api.keks.rotate("local:elsewhere", "local:main"))).toBe("UNKNOWN_KEK");
  });
});
