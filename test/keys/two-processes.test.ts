import { describe, expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { startChild } from "../support/child.ts";
import { fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const program = new URL("rotating-process.ts", import.meta.url);
const openingProgram = new URL("opening-process.ts", import.meta.url);

describe("two processes on one store", () => {
  it("rotate the same key 20 times at once: versions 2…41 exist once each, everything opens, a third reader meets no version it can't load", async () => {
    const folder = temporaryFolder();
    const options = fileStore(folder);
    const reader = await initKeystead({ ...options, settings: { refreshBound: 100 } });
    await reader.keys.create({ name: "k", purpose: "pii" });
    const children = [startChild(program, [options.store, "k", "20"]), startChild(program, [options.store, "k", "20"])];
    const handle = await reader.open("k");
    const sealed: string[] = [];
    await Promise.all(
      children.map(async (child) => {
        for (let line = await child.nextLine(); line !== undefined; line = await child.nextLine()) {
          expect(handle.decryptText(line)).toMatch(/^value \d+$/);
          sealed.push(line);
        }
        await child.finish();
      }),
    );
    expect(sealed).toHaveLength(40);
    await reader.refresh();
    const key = await reader.keys.show("k");
    expect(key.versions.map((version) => version.version)).toEqual(Array.from({ length: 41 }, (_, index) => index + 1));
    expect(new Set(key.versions.map((version) => version.label)).size).toBe(41);
    expect(key.currentVersion).toBe(41);
    for (const text of sealed) expect(await reader.decryptText(text)).toMatch(/^value/);
    expect((await reader.audit.verify()).findings).toEqual([]);
    await reader.close();
    const again = await openTestKeystead(options);
    expect((await again.doctor.examine()).filter((finding) => finding.status !== "good")).toEqual([]);
  });

  it("a suspended key stops working in the other process within a second", async () => {
    const options = fileStore(temporaryFolder());
    const keystead = await initKeystead(options);
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const child = startChild(openingProgram, [options.store, "k", await keystead.encrypt("k", "x")]);
    expect(await child.nextLine()).toBe("opened");
    await keystead.keys.suspend("k", 1, { reason: "incident" });
    const suspended = performance.now();
    expect(await child.nextLine()).toBe("KEY_STATE");
    expect(performance.now() - suspended).toBeLessThan(1000);
    await child.finish();
    await keystead.close();
  });
});
