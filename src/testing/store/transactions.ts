import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Store } from "../../store/store.ts";
import { sampleKey, sampleRecord } from "./samples.ts";
import { failsWith, inNewStore, onSecondConnection, type StoreSuite } from "./suite.ts";

class Deliberate extends Error {}

/** Atomic, isolated, one after the other. */
export function testTransactions(suite: StoreSuite): void {
  const { it } = suite;

  it("rolls back when the work rejects", async () => {
    await inNewStore(suite, async ({ store }) => {
      const kept = await store.transaction(async ({ settings }) => await settings.insert({ name: "kept", value: "1" }));
      const generation = await store.generation();
      const failing = store.transaction(async ({ settings, aliases }) => {
        await settings.update({ ...kept, value: "2" });
        await aliases.insert({ alias: "gone", keyId: "key" });
        throw new Deliberate("no");
      });
      await assert.rejects(failing, Deliberate);
      assert.deepEqual(await store.read(async ({ settings }) => await settings.list()), [kept]);
      assert.deepEqual(await store.read(async ({ aliases }) => await aliases.list()), []);
      assert.equal(await store.generation(), generation);
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("goes on after an operation that did nothing", async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.transaction(async ({ settings }) => {
        const first = await settings.insert({ name: "a", value: "1" });
        await failsWith("NAME_TAKEN", async () => await settings.insert({ name: "a", value: "2" }));
        await failsWith("CONFLICT", async () => await settings.update({ ...first, rowVersion: 5 }));
        await settings.insert({ name: "b", value: "3" });
      });
      const names = await store.read(async ({ settings }) => (await settings.list()).map(({ name, value }) => name + value));
      assert.deepEqual(names, ["a1", "b3"]);
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("runs transactions one after the other, in the order of their start", async () => {
    await inNewStore(suite, async ({ store }) => {
      const trace: string[] = [];
      await store.transaction(async ({ settings }) => await settings.insert({ name: "count", value: "0" }));
      await Promise.all(Array.from({ length: 20 }, async (_, index) => await countUp(store, String(index), trace)));
      const expected = Array.from({ length: 20 }, (_, index) => [`${index} begins`, `${index} ends`]).flat();
      assert.deepEqual(trace, expected);
      assert.equal(await count(store), "20");
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("loses no update of two connections", async () => {
    await inNewStore(suite, async (place) => {
      await place.store.transaction(async ({ settings }) => await settings.insert({ name: "count", value: "0" }));
      await onSecondConnection(place, async (second) => {
        await second.unlock(sampleKey);
        const start = await second.generation();
        const both = [place.store, second].flatMap((store) => Array.from({ length: 10 }, async () => await countUp(store)));
        await Promise.all(both);
        assert.equal(await count(place.store), "20");
        assert.equal(await count(second), "20");
        assert.equal(await second.generation(), start + 20);
        assert.deepEqual(await second.verify(), []);
      });
    });
  });

  it("reads from one snapshot while another connection writes", async () => {
    await inNewStore(suite, async (place) => {
      await onSecondConnection(place, async (second) => {
        await second.unlock(sampleKey);
        await second.read(async ({ settings }) => {
          await place.store.transaction(async (tables) => await tables.settings.insert({ name: "late", value: "" }));
          assert.deepEqual(await settings.list(), []);
          assert.equal(await settings.get({ name: "late" }), undefined);
        });
        assert.equal((await second.read(async ({ settings }) => await settings.list())).length, 1);
      });
    });
  });

  it("runs operations of one transaction side by side", async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.transaction(async (tables) => {
        await Promise.all([
          ...Array.from({ length: 10 }, async (_, index) => await tables.keys.insert(sampleRecord("keys", index))),
          ...Array.from({ length: 10 }, async (_, index) => await tables.datasets.insert(sampleRecord("datasets", index))),
        ]);
      });
      assert.deepEqual(await store.verify(), []);
      assert.equal((await store.read(async ({ keys }) => await keys.list())).length, 10);
    });
  });

  it("refuses a call of the store inside of its own transaction, instead of waiting for itself", async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.read(async () => {
        await failsWith("INTERNAL", async () => await store.generation(), /inside/);
        await failsWith("INTERNAL", async () => await store.transaction(async ({ keys }) => await keys.list()), /inside/);
        await failsWith("INTERNAL", async () => {
          await store.close();
        });
      });
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("refuses to write in a snapshot", async () => {
    await inNewStore(suite, async ({ store }) => {
      const writing = store.read(async ({ settings }) => await settings.insert({ name: "a", value: "" }));
      await failsWith("INTERNAL", async () => await writing, /use a transaction/);
    });
  });

  it("refuses to commit what was not awaited", async () => {
    await inNewStore(suite, async ({ store }) => {
      const forgotten: Promise<unknown>[] = [];
      const forgetful = store.transaction(async ({ settings }) => {
        forgotten.push(settings.insert({ name: "a", value: "" }));
        return await Promise.resolve("done");
      });
      await failsWith("INTERNAL", async () => await forgetful, /await every operation/);
      await Promise.allSettled(forgotten);
      assert.deepEqual(await store.read(async ({ settings }) => await settings.list()), []);
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("refuses tables of a transaction that has ended", async () => {
    await inNewStore(suite, async ({ store }) => {
      const settings = await store.transaction(async (tables) => await Promise.resolve(tables.settings));
      await failsWith("INTERNAL", async () => await settings.list(), /ended/);
      await failsWith("INTERNAL", async () => await settings.insert({ name: "a", value: "" }), /ended/);
    });
  });
}

/** Reads, lets others run, writes: an update is lost unless transactions are serialised. */
async function countUp(store: Store, name = "", trace: string[] = []): Promise<void> {
  await store.transaction(async ({ settings }) => {
    trace.push(`${name} begins`);
    const row = await settings.get({ name: "count" });
    assert.ok(row);
    await setImmediate();
    await settings.update({ ...row, value: String(Number(row.value) + 1) });
    trace.push(`${name} ends`);
  });
}

async function count(store: Store): Promise<string | undefined> {
  return (await store.read(async ({ settings }) => await settings.get({ name: "count" })))?.value;
}
