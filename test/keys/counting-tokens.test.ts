import { describe, expect, it } from "vitest";
import type { IndexSpec } from "../../src/crypto/blind-index.ts";
import { BlindIndex, createIndexSpec } from "../../src/fields/blind-index.ts";
import { initKeystead } from "../../src/keystead.ts";
import { sealBlocks } from "../../src/keys/seal-meter.ts";
import { createCrm, personDataset } from "../datasets/support/crm.ts";
import { day } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

/** An index that no dataset has. */
function specOf(keyVersion: number): IndexSpec {
  const placement = { datasetId: "0197a3c2-5d1e-7000-8000-000000000001", generation: 1, keyVersion };
  return createIndexSpec({ columns: ["email"], kind: "exact", bits: 32 }, placement);
}

const bi = { name: "bi", purpose: "pii", usage: "blind-index" } as const;

describe("tokens made outside datasets", () => {
  it("are counted as seals are, in blocks, and exactly after a close", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead(options);
    await first.keys.create(bi);
    const index = BlindIndex.open(await first.open("bi"), [specOf(1)]);
    for (let count = 0; count < 7; count += 1) index.token(["x"]);
    index.queryTokens(["x"]);
    expect((await first.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(8);
    const beside = await openTestKeystead(options);
    expect((await beside.keys.usage("bi", 1)).sealsOutsideDatasets).toBeGreaterThanOrEqual(8);
    await first.close();
    expect((await beside.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(8);
  });

  it("keep their version from its end", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create(bi);
    const key = await keystead.open("bi");
    key.indexer(specOf(1))(["x"]);
    await key.close();
    await keystead.keys.rotate("bi");
    await expect(keystead.keys.destroy("bi", 1)).rejects.toThrow(/up to 1 values were sealed outside datasets, or tokens made of them/);
    await keystead.keys.rotate("bi");
    expect((await keystead.keys.destroy("bi", 2)).status).toBe("scheduled");
    clock.advance(7 * day);
    expect((await keystead.keys.destroy("bi", 2)).status).toBe("destroyed");
  });

  it("are not counted where none was made", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create(bi);
    const key = await keystead.open("bi");
    const token = key.indexer(specOf(1));
    expect(await codeOf(() => token(["x", "y"]))).toBe("INVALID_ARGUMENT");
    expect((await keystead.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(0);
  });

  it("are made in a loop that never yields, which is counted to its end", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create(bi);
    const token = (await keystead.open("bi")).indexer(specOf(1));
    for (let count = 0; count < sealBlocks.first + 3000; count += 1) token(["x"]);
    expect((await keystead.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(sealBlocks.first + 3000);
  });

  it("go on under an old version, whatever writes the counts meanwhile; an index that is open is a use of it", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create(bi);
    const key = await keystead.open("bi");
    const token = key.indexer(specOf(1));
    await keystead.keys.rotate("bi");
    const acts = [() => keystead.keys.usage("bi", 1), () => keystead.doctor.examine(), () => keystead.refresh()];
    for (const act of acts) {
      await act();
      expect(token(["x"])).toMatch(/^1\./);
    }
    expect((await keystead.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(acts.length);
    await keystead.keys.rotate("bi");
    key.indexer(specOf(2));
    expect(await codeOf(keystead.keys.destroy("bi", 2))).toBe("VERSION_IN_USE");
    await key.close();
    expect((await keystead.keys.destroy("bi", 2)).status).toBe("scheduled");
  });

  it("need a lease for an old version that made none before, and have one at once where it did", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await first.keys.create(bi);
    await first.keys.rotate("bi");
    const key = await first.open("bi");
    const token = key.indexer(specOf(1));
    expect(await codeOf(() => token(["x"]))).toBe("KEY_BUDGET_NOT_LEASED");
    await key.prepare();
    const made = token(["x"]);
    await first.close();
    const second = await openTestKeystead(options);
    expect((await second.open("bi")).indexer(specOf(1))(["x"])).toBe(made);
    expect((await second.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(2);
  });

  it("end with the version's state, and its lease with them", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create(bi);
    const token = (await keystead.open("bi")).indexer(specOf(1));
    await keystead.keys.rotate("bi");
    await keystead.keys.suspend("bi", 1);
    expect(await codeOf(() => token(["x"]))).toBe("KEY_STATE");
    await keystead.keys.resume("bi", 1);
    await keystead.refresh();
    expect(token(["x"])).toMatch(/^1\./);
    await keystead.keys.compromise("bi", 1);
    expect((await keystead.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(1);
  });
});

describe("tokens of a dataset", () => {
  it("are left to its index generations, and are of no other dataset", async () => {
    const { keystead } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name, name_sx TEXT)");
    const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    const { indexes = {} } = await keystead.datasets.recordDefinition("crm.person");
    const generations = Object.values(indexes).flatMap((index) => ("generations" in index ? index.generations : []));
    const key = await keystead.open("bi", { dataset: "crm.person" });
    expect(BlindIndex.open(key, generations).token(["Robert"])).toMatch(/^1\./);
    expect((await keystead.keys.usage("bi", 1)).sealsOutsideDatasets).toBe(0);
    await expect(async () => key.indexer(specOf(1))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
