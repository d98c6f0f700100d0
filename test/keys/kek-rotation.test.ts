import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { startChild } from "../support/child.ts";
import { openWithParts } from "../support/test-parts.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

const next = { bytes: canaries.importedKey.bytes };

describe("master keys", () => {
  it("moves every wrap to another master key; the old one is needed no more", async () => {
    const folder = temporaryFolder();
    const options = fileStore(folder);
    const first = await initKeystead({ ...options, masterKeys: { ...testMasterKeys, next } });
    for (const name of ["a", "b", "c"]) await first.keys.create({ name, purpose: "pii" });
    const sealed = await first.encrypt("a", "x");
    const seen: number[] = [];
    await first.keks.rotate("local:main", "local:next", ({ done }) => seen.push(done));
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect((await first.keks.list()).map((kek) => [kek.uri, kek.wraps])).toEqual([
      ["local:main", 0],
      ["local:next", 5],
    ]);
    expect(await first.routes.list()).toEqual([{ kekUri: "local:next" }]);
    await first.close();
    const second = await openTestKeystead({ ...options, masterKeys: { next } });
    expect(await second.decryptText(sealed)).toBe("x");
    await second.keys.create({ name: "d", purpose: "pii" });
  });

  it("goes on after being killed in the middle", async () => {
    const folder = temporaryFolder();
    const options = { ...fileStore(folder), masterKeys: { ...testMasterKeys, next } };
    const first = await initKeystead(options);
    for (const name of ["a", "b", "c"]) await first.keys.create({ name, purpose: "pii" });
    const stop = (): never => {
      throw new Error("stopped");
    };
    await expect(first.keks.rotate("local:main", "local:next", stop)).rejects.toThrow("stopped");
    await first.close();
    const second = await openTestKeystead(options);
    expect(await second.keks.rotate("local:main", "local:next")).toEqual({ done: 4, total: 4 });
    expect((await second.keks.list()).map((kek) => kek.wraps)).toEqual([0, 5]);
  });

  it("goes on after being killed at any moment, and loses nothing", async () => {
    const options = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, next } };
    const first = await initKeystead(options);
    const names = Array.from({ length: 8 }, (_, index) => `k${String(index)}`);
    for (const name of names) await first.keys.create({ name, purpose: "pii" });
    const sealed = await Promise.all(names.map((name) => first.encrypt(name, name)));
    await first.close();
    for (const lines of [1, 14, 27]) {
      const child = startChild(new URL("kek-rotating-process.ts", import.meta.url), [options.store]);
      for (let line = 0; line < lines; line += 1) await child.nextLine();
      await child.kill();
      const again = await openTestKeystead(options);
      await again.keks.rotate("local:main", "local:next");
      expect((await again.keks.list()).map(({ wraps }) => wraps)).toEqual([0, 10]);
      await again.close();
      const alone = await openTestKeystead({ ...options, masterKeys: { next } });
      for (const [index, name] of names.entries()) expect(await alone.decryptText(sealed[index] ?? "")).toBe(name);
      expect((await alone.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
      await alone.close();
    }
  });

  it("refuses the wrong master key clearly and leaves the store unharmed", async () => {
    const folder = temporaryFolder();
    const options = fileStore(folder);
    await (await initKeystead(options)).close();
    expect(await codeOf(openTestKeystead({ ...options, masterKeys: { main: { bytes: randomBytes(32) } } }))).toBe("WRONG_MASTER_KEY");
    expect(await codeOf(openTestKeystead({ ...options, masterKeys: {} }))).toBe("UNKNOWN_KEK");
    const good = await openTestKeystead(options);
    expect((await good.doctor.examine()).every((finding) => finding.status === "good")).toBe(true);
  });

  it("opens a store by passphrase, with the parameters that the store keeps", async () => {
    const folder = temporaryFolder();
    const passphrase = canaries.passphrase.text;
    const parameters = { algorithm: "argon2id", memoryKib: 19_456, passes: 2, parallelism: 1 } as const;
    const options = { ...fileStore(folder), masterKeys: { main: { passphrase, parameters } } };
    const first = await initKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    const sealed = await first.encrypt("k", "x");
    await first.close();
    const second = await openTestKeystead({ ...options, masterKeys: { main: { passphrase } } });
    expect(await second.decryptText(sealed)).toBe("x");
    expect(await codeOf(openTestKeystead({ ...options, masterKeys: { main: { passphrase: "another passphrase" } } }))).toBe(
      "WRONG_MASTER_KEY",
    );
  });

  it("refuses to make a store where there is one", async () => {
    const folder = temporaryFolder();
    await (await initKeystead(fileStore(folder))).close();
    expect(await codeOf(initKeystead(fileStore(folder)))).toBe("STORE_EXISTS");
  });

  it("does not take keys that want hardware out of it", async () => {
    const options = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, next } };
    await (await initKeystead(options)).close();
    const keystead = await openWithParts(options, { hardware: "local:main" });
    await keystead.purposes.set("medical", { hardware: true });
    await keystead.keys.create({ name: "m", purpose: "medical" });
    expect(await codeOf(keystead.keks.rotate("local:main", "local:next"))).toBe("INVALID_ARGUMENT");
    expect(await keystead.routes.list()).toEqual([{ kekUri: "local:main" }]);
    await keystead.purposes.set("medical", { hardware: false });
    expect((await keystead.keks.rotate("local:main", "local:next")).done).toBe(3);
  });

  it("makes a KEK known before anything goes to it, and again without a change", async () => {
    const options = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, next } };
    const first = await initKeystead(options);
    await first.keks.add("local:next");
    await first.keks.add("local:next");
    expect((await first.keks.list()).map((kek) => [kek.uri, kek.wraps, kek.available])).toEqual([
      ["local:main", 2, true],
      ["local:next", 0, true],
    ]);
    expect(await first.routes.list()).toEqual([{ kekUri: "local:main" }]);
    expect(await codeOf(first.keks.add("local:none"))).toBe("UNKNOWN_KEK");
    await first.close();
    const other = await openTestKeystead({ ...options, masterKeys: { ...testMasterKeys, next: { bytes: randomBytes(32) } } });
    expect(await codeOf(other.keks.add("local:next"))).toBe("WRONG_MASTER_KEY");
  });

  it("keeps the parameters of a passphrase from the moment that it is added", async () => {
    const options = fileStore(temporaryFolder());
    const parameters = { algorithm: "argon2id", memoryKib: 19_456, passes: 2, parallelism: 1 } as const;
    const spare = { passphrase: canaries.passphrase.text, parameters };
    const first = await initKeystead({ ...options, masterKeys: { ...testMasterKeys, spare } });
    await first.keks.add("local:spare");
    await first.close();
    const mistyped = { ...testMasterKeys, spare: { passphrase: "another passphrase" } };
    const second = await openTestKeystead({ ...options, masterKeys: mistyped });
    expect(await codeOf(second.routes.set({ purpose: "medical" }, "local:spare"))).toBe("WRONG_MASTER_KEY");
  });

  it("routes purposes and prefixes to their KEK", async () => {
    const { keystead } = await createTestKeystead({ masterKeys: { ...testMasterKeys, next } });
    await keystead.routes.set({ purpose: "medical" }, "local:next");
    await keystead.keys.create({ name: "m", purpose: "medical" });
    await keystead.keys.create({ name: "p", purpose: "pii" });
    expect((await keystead.keks.list()).map((kek) => [kek.uri, kek.wraps])).toEqual([
      ["local:main", 3],
      ["local:next", 1],
    ]);
    expect(await codeOf(keystead.routes.set({ purpose: "medical" }, "local:none"))).toBe("UNKNOWN_KEK");
    expect(await codeOf(keystead.routes.set({}, "awskms:///x"))).toBe("UNKNOWN_KEK");
    expect(await codeOf(keystead.routes.set({}, "local:main@x:pin-value=1"))).toBe("INVALID_ARGUMENT");
  });
});
