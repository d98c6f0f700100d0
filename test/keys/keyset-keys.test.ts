import { describe, expect, it, onTestFinished } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { unwrapKeysetKey } from "../../src/keys/keyset-key.ts";
import { openParts } from "../support/parts.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

/** A store with a key of two versions, and what stands behind it. */
async function withTwoVersions() {
  const options = { ...fileStore(temporaryFolder()), clock: new TestClock() };
  const keystead = await initKeystead(options);
  const { id } = await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.keys.rotate("k");
  const parts = await openParts(options);
  onTestFinished(() => parts.store.close());
  const newest = async () => {
    const row = await parts.store.read((tables) => tables.versions.get({ keyId: id, version: 2 }));
    if (row?.material === undefined || row.material === null) throw new Error("version 2 has no material");
    return { ...row, material: row.material };
  };
  const keysetKey = async () => unwrapKeysetKey(parts, await parts.store.read((tables) => tables.wraps.list({ subject: id })));
  return { keystead, options, id, store: parts.store, newest, keysetKey };
}

describe("the key that seals the versions of a key", () => {
  it("is another one once a version was destroyed: the old one, from a backup, opens nothing that is left", async () => {
    const { keystead, options, id, newest, keysetKey } = await withTwoVersions();
    const binding = { keyId: id, version: 2, usages: "encrypt", algorithm: "XAES-256-GCM", format: (await newest()).materialFormat };
    const [old, before] = [await keysetKey(), await newest()];
    expect(await codeOf(() => old.open(before.material, binding))).toBe("no error");
    await keystead.keys.destroy("k", 1);
    options.clock.advance(7 * day);
    expect((await keystead.keys.destroy("k", 1)).status).toBe("destroyed");
    await keystead.close();
    const [fresh, after] = [await keysetKey(), await newest()];
    expect(await codeOf(() => old.open(after.material, binding))).toBe("STORE_TAMPERED");
    expect(await codeOf(() => fresh.open(before.material, binding))).toBe("STORE_TAMPERED");
    expect(await codeOf(() => fresh.open(after.material, binding))).toBe("no error");
  });

  it("opens no version under a fingerprint that is not its own", async () => {
    const { keystead, options, store, newest } = await withTwoVersions();
    await keystead.close();
    const row = await newest();
    await store.transaction((tables) => tables.versions.update({ ...row, fingerprint: "aaaaaa" }));
    const reopened = await openTestKeystead(options);
    await expect(reopened.open("k")).rejects.toMatchObject({
      code: "STORE_TAMPERED",
      message: expect.stringContaining("does not have its fingerprint") as string,
    });
  });
});
