import { expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import type { Store, StoreTables } from "../../src/store/store.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { alteredStore, openWithParts } from "../support/test-parts.ts";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";

/** A store whose transactions and snapshots do their work twice; the first time is rolled back, as databases do that give them up. */
function workingTwice(store: Store): Store {
  const givenUp = new Error("given up");
  const twice =
    (run: Store["transaction"]) =>
    async <T>(work: (tables: StoreTables) => Promise<T>): Promise<T> => {
      await run(async (tables) => {
        await work(tables);
        throw givenUp;
      }).catch((error: unknown) => {
        if (error !== givenUp) throw error;
      });
      return await run(work);
    };
  return alteredStore(store, {
    transaction: twice((work) => store.transaction(work)),
    read: twice((work) => store.read(work)),
  });
}

it("keeps keys, counts and audit right when each transaction's work is done twice", async () => {
  const clock = new TestClock();
  const options = { ...fileStore(temporaryFolder()), clock };
  await (await initKeystead(options)).close();
  const keystead = await openWithParts(options, { store: workingTwice });
  const { keys } = keystead;
  await keys.create({ name: "k", purpose: "pii", algorithm: "AES-256-GCM" });
  const sealed: string[] = [];
  for (let count = 0; count < 3; count += 1) sealed.push(await keystead.encrypt("k", `value ${String(count)}`));
  expect((await keys.rotate("k", { reason: "yearly" })).currentVersion).toBe(2);
  sealed.push(await keystead.encrypt("k", "value 3"));
  for (const [count, text] of sealed.entries()) expect(await keystead.decryptText(text)).toBe(`value ${String(count)}`);
  await keys.suspend("k", 1);
  await keys.resume("k", 1);
  await keys.setAlias("other", "k");
  await keys.removeAlias("other");
  await keys.rotate("k");
  await keys.rotate("k", { activateAt: new Date(clock.now() + day) });
  await keystead.settings.set("backupRetentionDays", 3);
  await keystead.purposes.set("pii", { rotationDays: 30 });
  await keystead.close();

  const again = await openWithParts(options, {});
  expect(await again.keys.usage("k", 1)).toMatchObject({ sealsOutsideDatasets: 3, opens: 3 });
  expect(await again.keys.usage("k", 2)).toMatchObject({ sealsOutsideDatasets: 1, opens: 1 });
  const { versions, currentVersion } = await again.keys.show("k");
  expect([currentVersion, versions.map(({ state }) => state)]).toEqual([3, ["active", "active", "active", "pre-active"]]);
  // Version 3 was never used: it can go, and once.
  await again.keys.rotate("k");
  await again.close();
  const last = await openWithParts(options, { store: workingTwice });
  await last.keys.destroy("k", 3);
  clock.advance(8 * day);
  expect((await last.keys.destroy("k", 3)).status).toBe("destroyed");
  expect((await last.audit.verify()).findings).toEqual([]);
  const acts = (await last.audit.show({ limit: 1_000 })).map(({ action }) => action);
  expect(acts.filter((action) => action === "keys.destroy")).toHaveLength(2);
  expect(acts.filter((action) => action === "keys.create")).toHaveLength(1);
});
