import { afterAll, describe, expect, it } from "vitest";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { NewRecord } from "../../src/store/tables.ts";
import { codeOf, metadataKey, newIdentity, noRows } from "./places.ts";

const good: NewRecord<"checkpoints"> = {
  hash: "h",
  previous: "",
  takenAt: 1,
  generation: 1,
  body: Uint8Array.of(1),
  signature: Uint8Array.of(2),
  signer: "s",
};
const store = await openMemoryStore();
await store.create(newIdentity, metadataKey, noRows);
afterAll(async () => await store.close());

const wrong: readonly (readonly [column: string, value: unknown])[] = [
  ...[undefined, null, 1, "lone \ud800 surrogate", "a NUL \0", Uint8Array.of(1), {}].map((value) => ["signer", value] as const),
  ...[undefined, null, "1", 0.5, Number.NaN, Infinity, 2 ** 53, -(2 ** 53), 1n, true].map((value) => ["takenAt", value] as const),
  ...[undefined, null, "text", [1, 2], new ArrayBuffer(2), 1].map((value) => ["body", value] as const),
];

describe("values", () => {
  it.each(wrong)("refuses in column %s what it can't hold: %s", async (column, value) => {
    const record = { ...good, [column]: value } as NewRecord<"checkpoints">;
    const inserting = store.transaction(async ({ checkpoints }) => await checkpoints.insert(record));
    await expect(inserting).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(`checkpoints.${column}`) as string,
    });
    const where = { [column]: value } as Partial<NewRecord<"checkpoints">>;
    expect(await codeOf(async () => await store.read(async ({ checkpoints }) => await checkpoints.list(where)))).toBe("INVALID_ARGUMENT");
    expect(await store.read(async ({ checkpoints }) => await checkpoints.list())).toEqual([]);
  });

  it("refuses a filter by a column that does not exist", async () => {
    const where = { noSuchColumn: 1 } as Partial<NewRecord<"checkpoints">>;
    expect(await codeOf(async () => await store.read(async ({ checkpoints }) => await checkpoints.list(where)))).toBe("INVALID_ARGUMENT");
  });

  it("never repeats the value in the message", async () => {
    const record = { ...good, signer: "secret\0value" };
    const inserting = store.transaction(async ({ checkpoints }) => await checkpoints.insert(record));
    await expect(inserting).rejects.not.toMatchObject({ message: expect.stringContaining("secret") as string });
  });

  it("refuses what the constraints of a table forbid", async () => {
    const counter = { keyId: "k", version: 0, datasetId: "", seals: 0, opens: 0, refusals: 0, lastOpenedAt: null, lastRefusedAt: null };
    const insert = async (record: NewRecord<"counters">): Promise<unknown> =>
      await store.transaction(async ({ counters }) => await counters.insert(record));
    expect(await codeOf(async () => await insert(counter))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(async () => await insert({ ...counter, version: 1, seals: -1 }))).toBe("INVALID_ARGUMENT");
    await insert({ ...counter, version: 1 });
    expect(await store.verify()).toEqual([]);
  });

  it("keeps bytes as they were when the caller changes its own afterwards", async () => {
    const body = Buffer.from([1, 2, 3]);
    const inserted = await store.transaction(async ({ checkpoints }) => await checkpoints.insert({ ...good, body, takenAt: -0 }));
    body.fill(9);
    expect(inserted.body).toEqual(Uint8Array.of(1, 2, 3));
    expect(Object.is(inserted.takenAt, 0)).toBe(true);
    expect(await store.read(async ({ checkpoints }) => await checkpoints.list({ body: Uint8Array.of(1, 2, 3) }))).toEqual([inserted]);
  });
});
