import { expect, it } from "vitest";
import type { JobProgress } from "../../src/index.ts";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";
import { count, emailIndex, openPersons, personDataset } from "./support/persons.ts";

everywhere("cut-overs", (openPlace) => {
  it("puts another generation of an index in the place of the one before", async () => {
    const place = await openPersons(openPlace);
    const { datasets, keys } = place.api;
    await datasets.add("crm.person", personDataset);
    const { bits: _, ...planned } = emailIndex;
    const added = await datasets.addIndex("crm.person", "email", planned);
    expect(added.indexes).toMatchObject([{ index: "email", generation: 1, column: "email_index" }]);
    expect(added.indexes[0]?.bits).toBeGreaterThan(0);
    expect(await codeOf(datasets.addIndex("crm.person", "email", planned))).toBe("NAME_TAKEN");
    expect(await codeOf(datasets.addIndex("crm.person", "other", { ...planned, key: "k" }))).toBe("INVALID_ARGUMENT");
    await datasets.protect("crm.person");
    await keys.rotate("i");
    const started = await datasets.startGeneration("crm.person", "email", { column: "email_index_2", bits: 16 });
    expect(started.indexes).toMatchObject([
      { generation: 1, state: "live", searched: true, keyVersion: 1 },
      { generation: 2, state: "building", searched: false, keyVersion: 2, bits: 16, column: "email_index_2" },
    ]);
    expect(started.advice.join()).toContain('"email_index_2"');
    expect(await codeOf(datasets.startGeneration("crm.person", "email", { column: "phone" }))).toBe("CONFLICT");
    expect(await codeOf(datasets.startGeneration("crm.person", "unknown", { column: "phone" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.cutOver("crm.person", "email", 2))).toBe("JOB_INCOMPLETE");
    expect(await codeOf(datasets.dropGeneration("crm.person", "email", 1))).toBe("CONFLICT");
    await datasets.index("crm.person");
    expect(await datasets.cutOver("crm.person", "email", 2, { dryRun: true })).toMatchObject({ state: "done", dryRun: true });
    expect((await datasets.show("crm.person")).indexes).toMatchObject([{ searched: true }, { searched: false }]);
    const looked = await datasets.cutOver("crm.person", "email", 2);
    expect(looked).toMatchObject({ kind: "index", state: "done", dryRun: false, progress: { scanned: 50, replaced: 0 } });
    expect(await codeOf(datasets.cutOver("crm.person", "email", 2))).toBe("INVALID_ARGUMENT");
    expect((await datasets.find("crm.person", "email", ["Person7@example.org"])).rows).toMatchObject([{ row: { id: "7" } }]);
    const dropped = await datasets.dropGeneration("crm.person", "email", 1);
    expect(dropped.indexes).toMatchObject([{ state: "leaving" }, { state: "live", searched: true }]);
    expect(await codeOf(datasets.dropGeneration("crm.person", "email", 3))).toBe("INVALID_ARGUMENT");
    await datasets.index("crm.person");
    expect([count(place, "email_index"), count(place, "email_index_2")]).toEqual([0, 50]);
    expect((await datasets.show("crm.person")).indexes).toMatchObject([{ state: "retired" }, { state: "live", searched: true }]);
  });

  it("lets ciphertext take the place of the plaintext beside it", async () => {
    const place = await openPersons(openPlace);
    const { datasets } = place.api;
    const phone = { key: "k", column: "phone_sealed", plaintext: "phone" };
    await datasets.add("crm.person", { ...personDataset, columns: { phone, email: { key: "k" } } });
    const useOf = async (): Promise<unknown> => (await datasets.show("crm.person")).columns.find(({ name }) => name === "phone")?.plaintext;
    expect(await useOf()).toEqual({ column: "phone", use: "read" });
    expect(await codeOf(datasets.unprotect("crm.person"))).toBe("CONFLICT");
    expect(await codeOf(datasets.eraseColumn("crm.person", "phone"))).toBe("CONFLICT");
    expect(await codeOf(datasets.cutOverColumn("crm.person", "phone"))).toBe("JOB_INCOMPLETE");
    expect(await codeOf(datasets.cutOverColumn("crm.person", "email"))).toBe("INVALID_ARGUMENT");
    const looked = await datasets.cutOverColumn("crm.person", "phone");
    expect(looked).toMatchObject({ state: "done", dryRun: false, progress: { scanned: 50, replaced: 0 } });
    expect(await codeOf(datasets.cutOverColumn("crm.person", "phone"))).toBe("INVALID_ARGUMENT");
    expect(await useOf()).toEqual({ column: "phone", use: "written" });
    expect([count(place, "phone"), count(place, "phone_sealed")]).toEqual([50, 50]);
    const told: number[] = [];
    const erased = await datasets.eraseColumn("crm.person", "phone", { onProgress: ({ scanned }) => told.push(scanned) });
    expect(erased).toMatchObject({ kind: "erase", state: "done", progress: { replaced: 50 } });
    expect(erased.remains?.join()).toContain("VACUUM");
    expect(told.at(-1)).toBe(50);
    expect([count(place, "phone"), count(place, "phone_sealed")]).toEqual([0, 50]);
    expect((await datasets.eraseColumn("crm.person", "phone")).progress.replaced).toBe(0);
    expect(await useOf()).toEqual({ column: "phone", use: "erased" });
    expect(await codeOf(datasets.eraseColumn("crm.person", "phone"))).toBe("INVALID_ARGUMENT");
  });

  it("follows an order through both of its jobs", async () => {
    const place = await openPersons(openPlace, 3000);
    const { datasets } = place.api;
    await datasets.add("crm.person", { ...personDataset, columns: { phone: { key: "k", column: "phone_sealed", plaintext: "phone" } } });
    await datasets.protect("crm.person");
    await datasets.cutOverColumn("crm.person", "phone");
    const told: number[] = [];
    const options = { rowsPerSecond: 4000, onProgress: ({ replaced }: JobProgress) => told.push(replaced) };
    const erased = await datasets.eraseColumn("crm.person", "phone", options);
    expect(erased).toMatchObject({ kind: "erase", state: "done", progress: { scanned: 3000, replaced: 3000 } });
    expect(erased.remains?.join()).toContain("VACUUM");
    expect(told.at(-1)).toBe(3000);
    expect(count(place, "phone")).toBe(0);
  });
});
