import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { sampleIdentity, sampleKey, sampleRecord, sampleWith } from "./samples.ts";
import { failsWith, inNewPlace, inNewStore, noRows, onSecondConnection, type StoreSuite } from "./suite.ts";

/** Creation, unlocking, generation, closing. */
export function testLifecycle(suite: StoreSuite): void {
  const { it } = suite;

  it("has nothing in a new place", async () => {
    await inNewPlace(suite, async ({ store }) => {
      assert.equal(await store.exists(), false);
      await failsWith("STORE_NOT_FOUND", async () => await store.header());
      await failsWith("STORE_NOT_FOUND", async () => await store.unlock(sampleKey));
      await failsWith("STORE_NOT_FOUND", async () => {
        await store.migrate();
      });
      assert.equal(await store.exists(), false);
    });
  });

  it("is created once, and is unlocked then", async () => {
    await inNewStore(suite, async ({ store }) => {
      assert.equal(await store.exists(), true);
      await failsWith("STORE_EXISTS", async () => {
        await store.create({ ...sampleIdentity, id: "another" }, sampleKey, noRows);
      });
      assert.deepEqual((await store.header()).identity, sampleIdentity);
      assert.deepEqual(await store.verify(), []);
      assert.deepEqual(await store.read(async (tables) => await tables.keys.list()), []);
    });
  });

  it("is created with its first rows, or not at all", async () => {
    await inNewPlace(suite, async ({ store }) => {
      const failing = store.create(sampleIdentity, sampleKey, async ({ settings }) => {
        await settings.insert({ name: "a", value: "1" });
        throw new RangeError("deliberate");
      });
      await assert.rejects(failing, RangeError);
      assert.equal(await store.exists(), false);
      await failsWith("STORE_NOT_FOUND", async () => await store.header());
      await failsWith("INTERNAL", async () => await store.generation(), /locked/);

      await store.create(sampleIdentity, sampleKey, async ({ settings }) => {
        await settings.insert({ name: "a", value: "1" });
      });
      assert.deepEqual(await store.read(async ({ settings }) => await settings.list()), [{ name: "a", value: "1", rowVersion: 1 }]);
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("is created once by two connections at once", async () => {
    await inNewPlace(suite, async (place) => {
      await onSecondConnection(place, async (second) => {
        const results = await Promise.allSettled(
          [place.store, second].map(async (store) => await store.create(sampleIdentity, sampleKey, noRows)),
        );
        assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      });
    });
  });

  it("tells what opens the store key before it is unlocked, and nothing else", async () => {
    await inNewStore(suite, async (place) => {
      const kek = sampleRecord("keks", 1);
      const wrap = sampleWith("wraps", 1, { subject: "store" });
      await place.store.transaction(async (tables) => {
        await tables.keks.insert(kek);
        await tables.wraps.insert(wrap);
        await tables.wraps.insert(sampleRecord("wraps", 2));
      });
      await onSecondConnection(place, async (store) => {
        assert.deepEqual(await store.header(), { identity: sampleIdentity, keks: [kek], storeKeyWraps: [wrap] });
        for (const locked of [
          async () => await store.read(async (tables) => await tables.keks.list()),
          async () => await store.transaction(async (tables) => await tables.keks.list()),
          async () => await store.verify(),
          async () => await store.generation(),
        ]) {
          await failsWith("INTERNAL", locked, /locked/);
        }
        assert.deepEqual(await store.unlock(sampleKey), sampleIdentity);
        assert.deepEqual(
          (await store.read(async (tables) => await tables.keks.list())).map(({ uri }) => uri),
          [kek.uri],
        );
      });
    });
  });

  it("refuses another metadata key", async () => {
    await inNewStore(suite, async (place) => {
      await onSecondConnection(place, async (store) => {
        await failsWith("STORE_TAMPERED", async () => await store.unlock(createSecretKey(Buffer.alloc(32, 1))), /manifest/);
        await failsWith("INTERNAL", async () => await store.read(async (tables) => await tables.keys.list()), /locked/);
      });
    });
  });

  it("counts a generation for every change of what the manifest covers, and only for that", async () => {
    await inNewStore(suite, async ({ store }) => {
      const start = await store.generation();
      await store.transaction(async ({ settings, aliases }) => {
        await settings.insert(sampleRecord("settings", 1));
        await aliases.insert(sampleRecord("aliases", 1));
      });
      assert.equal(await store.generation(), start + 1);
      assert.equal(await store.revision(), start + 1);
      await store.transaction(async ({ auditLines }) => await auditLines.insert(sampleRecord("auditLines", 1)));
      await store.transaction(async ({ settings }) => await settings.list());
      assert.equal(await store.generation(), start + 1);
      await store.transaction(async ({ counters }) => await counters.insert(sampleRecord("counters", 1)));
      await store.transaction(async ({ jobs }) => await jobs.insert(sampleRecord("jobs", 1)));
      assert.equal(await store.generation(), start + 3);
      assert.equal(await store.revision(), start + 1);
      await store.transaction(async ({ settings }) => {
        await settings.remove(await settings.insert(sampleRecord("settings", 2)));
      });
      assert.equal(await store.generation(), start + 4);
      assert.equal(await store.revision(), start + 4);
    });
  });

  it("raises the generation above a floor", async () => {
    await inNewStore(suite, async ({ store }) => {
      const start = await store.generation();
      await store.raiseGeneration(start - 1);
      assert.equal(await store.generation(), start);
      await store.raiseGeneration(start);
      assert.equal(await store.generation(), start + 1);
      await store.raiseGeneration(1_000_000);
      assert.equal(await store.generation(), 1_000_001);
      assert.equal(await store.revision(), 1_000_001);
      assert.deepEqual(await store.verify(), []);
      for (const floor of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
        await failsWith("INVALID_ARGUMENT", async () => {
          await store.raiseGeneration(floor);
        });
      }
    });
  });

  it("has nothing to migrate when it is new, and scrubs", async () => {
    await inNewStore(suite, async ({ store }) => {
      await store.migrate();
      await store.scrub();
      assert.deepEqual(await store.verify(), []);
    });
  });

  it("tells who watches it of each change by another connection, where it can", async () => {
    await inNewStore(suite, async (place) => {
      let tell: () => void = () => undefined;
      const told = async (): Promise<void> => {
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      };
      const first = told();
      const watch = place.store.watch?.(() => {
        tell();
      });
      if (watch === undefined) return;
      await first;
      assert.equal(await watch.problem(), undefined);
      await onSecondConnection(place, async (second) => {
        await second.unlock(sampleKey);
        for (const name of ["a", "b"]) {
          const next = told();
          await second.transaction(async ({ settings }) => await settings.insert({ name, value: "" }));
          await next;
        }
      });
      await watch.close();
    });
  });

  it("refuses everything once closed, and closes again without complaint", async () => {
    await inNewStore(suite, async ({ store }) => {
      const last = store.transaction(async ({ settings }) => await settings.insert(sampleRecord("settings", 1)));
      await Promise.all([last, store.close(), store.close()]);
      for (const closed of [
        async () => await store.exists(),
        async () => await store.header(),
        async () => await store.unlock(sampleKey),
        async () => await store.verify(),
        async () => await store.generation(),
        async () => await store.read(async ({ keys }) => await keys.list()),
        async () => await store.transaction(async ({ keys }) => await keys.list()),
        async () => {
          await store.scrub();
        },
      ]) {
        await failsWith("CLOSED", closed);
      }
    });
  });
}
