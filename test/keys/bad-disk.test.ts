import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KeysteadError } from "../../src/errors.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { mountSmallDisk, needsMount } from "../support/small-disk.ts";
import { fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

async function expectWhole(keystead: Keystead, sealed: string): Promise<void> {
  expect(await keystead.decryptText(sealed)).toBe("kept");
  expect((await keystead.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
}

async function makeStore(folder: string): Promise<string> {
  const keystead = await initKeystead({ ...fileStore(folder), settings: { refreshBound: 20 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const sealed = await keystead.encrypt("k", "kept");
  await keystead.close();
  return sealed;
}

const contentsOf = (folder: string): [string, string][] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => [name, readFileSync(join(folder, name)).toString("base64")]);

/** Something that needs the store or the journal to be written. */
const acts: readonly ((keystead: Keystead) => Promise<unknown>)[] = [
  (keystead) => keystead.keys.rotate("k"),
  (keystead) => keystead.keys.create({ name: `k${String(Math.trunc(performance.now() * 1000))}`, purpose: "pii" }),
  (keystead) => keystead.keys.setAlias("a", "k"),
  (keystead) => keystead.settings.set("backupRetentionDays", 3),
];

describe("a store that may only be read", () => {
  it("is refused, with the remedy, and stays as it was", async () => {
    const disk = mountSmallDisk("4m");
    const folder = disk?.path ?? temporaryFolder();
    const sealed = await makeStore(folder);
    const before = contentsOf(folder);
    if (disk === undefined) for (const path of [join(folder, "keystead.db"), folder]) chmodSync(path, path === folder ? 0o500 : 0o400);
    else disk.remount("ro");
    const refusal = openTestKeystead(fileStore(folder));
    await expect(refusal).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
    await expect(refusal).rejects.toThrow(/make its file and folder writable/);
    expect(contentsOf(folder)).toEqual(before);
    if (disk === undefined) for (const path of [folder, join(folder, "keystead.db")]) chmodSync(path, path === folder ? 0o700 : 0o600);
    else disk.remount("rw");
    await expectWhole(await openTestKeystead(fileStore(folder)), sealed);
  });
});

describe("a disk that is full", () => {
  it("refuses what can't be stored or recorded, goes on when there is room, and lost nothing", async (context) => {
    const disk = mountSmallDisk("3m");
    if (disk === undefined) return context.skip(needsMount);
    const sealed = await makeStore(disk.path);
    const keystead = await openTestKeystead(fileStore(disk.path));
    const filler = join(disk.path, "filler");
    for (let round = 0; round < 3; round += 1) {
      fill(filler);
      for (const act of acts) {
        const failure: unknown = await act(keystead).then(
          () => new Error("it worked on a full disk"),
          (error: unknown) => error,
        );
        expect(failure).toBeInstanceOf(KeysteadError);
        expect(["STORE_FULL", "AUDIT_UNAVAILABLE"]).toContain((failure as KeysteadError).code);
      }
      expect(await keystead.decryptText(sealed)).toBe("kept");
      rmSync(filler);
      await expect.poll(() => keystead.keys.rotate("k").catch((error: unknown) => error), { timeout: 5000 }).toHaveProperty("name", "k");
    }
    await expectWhole(keystead, sealed);
    await keystead.close();
    await expectWhole(await openTestKeystead(fileStore(disk.path)), sealed);
  });
});

/** Takes every byte that is left. */
function fill(path: string): void {
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" });
    } catch {
      // Less than that is left.
    }
  }
}
