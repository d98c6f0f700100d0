import { describe, expect, it } from "vitest";
import { KeysteadError } from "../../src/errors.ts";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { canaries } from "../setup/canary.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { alteredStore, openWithParts } from "../support/test-parts.ts";
import { fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

const masterKeys = { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } };

/** When a transaction fails: before it begins, or when it is to be committed. */
type Moment = "begin" | "commit";

/** A store whose disk is full for one transaction, the one that a test names. */
class FaultyStore {
  #countdown = Number.POSITIVE_INFINITY;
  #moment: Moment = "begin";
  #hit = false;

  /** Lets the `number`th transaction from now fail. */
  arm(number: number, moment: Moment): void {
    this.#countdown = number;
    this.#moment = moment;
    this.#hit = false;
  }

  /** Ends it; true when a transaction failed meanwhile. */
  disarm(): boolean {
    this.#countdown = Number.POSITIVE_INFINITY;
    return this.#hit;
  }

  wrap(store: Store): Store {
    return alteredStore(store, {
      transaction: (work) => {
        this.#countdown -= 1;
        if (this.#countdown !== 0) return store.transaction(work);
        this.#hit = true;
        const full = new KeysteadError("STORE_FULL", "there is no space left for the store");
        if (this.#moment === "begin") return Promise.reject(full);
        return store.transaction(async (tables) => {
          await work(tables);
          throw full;
        });
      },
    });
  }
}

interface Trial {
  readonly keystead: Keystead;
  readonly clock: TestClock;
  readonly key: string;
}

type Act = (trial: Trial) => Promise<unknown>;

const twoVersions: Act = async ({ keystead, key }) => keystead.keys.rotate(key);
const scheduled: Act = async (trial) => {
  await twoVersions(trial);
  await trial.keystead.keys.destroy(trial.key, 1);
};

/** Acts, each with what it needs before. */
const acts: Readonly<Record<string, { readonly before?: Act; readonly act: Act }>> = {
  create: { act: ({ keystead, key }) => keystead.keys.create({ name: `${key}/new`, purpose: "pii" }) },
  rotate: { act: ({ keystead, key }) => keystead.keys.rotate(key) },
  activate: {
    before: ({ keystead, key, clock }) => keystead.keys.rotate(key, { activateAt: new Date(clock.now() + 9 * day) }),
    act: async ({ keystead, key }) => keystead.keys.activate(key, (await keystead.keys.show(key)).versions.length),
  },
  suspend: { before: twoVersions, act: ({ keystead, key }) => keystead.keys.suspend(key, 1) },
  compromise: { before: twoVersions, act: ({ keystead, key }) => keystead.keys.compromise(key, 1) },
  schedule: { before: twoVersions, act: ({ keystead, key }) => keystead.keys.destroy(key, 1) },
  cancel: { before: scheduled, act: ({ keystead, key }) => keystead.keys.cancelDestroy(key, 1) },
  execute: {
    before: async (trial) => {
      await scheduled(trial);
      trial.clock.advance(7 * day);
      await trial.keystead.refresh();
    },
    act: ({ keystead, key }) => keystead.keys.destroy(key, 1),
  },
  alias: { act: ({ keystead, key }) => keystead.keys.setAlias(`alias of ${key}`, key) },
  settings: { act: ({ keystead }) => keystead.settings.set("backupRetentionDays", 0) },
  route: { act: ({ keystead }) => keystead.routes.set({ purpose: "medical" }, "local:next") },
  "kek rotation": {
    act: async ({ keystead }) => {
      const [from, to] =
        (await keystead.routes.list())[0]?.kekUri === "local:main" ? ["local:main", "local:next"] : ["local:next", "local:main"];
      await keystead.keks.rotate(from, to);
    },
  },
  encrypt: { act: ({ keystead, key }) => keystead.encrypt(key, "x", { context: { a: "b" } }) },
  "count of use": { act: ({ keystead, key }) => keystead.keys.usage(key, 1) },
};

async function faultyKeystead() {
  const clock = new TestClock();
  const options: KeysteadOptions = { ...fileStore(temporaryFolder()), masterKeys, clock };
  await (await initKeystead({ ...options, settings: { refreshBound: 1000 } })).close();
  const faults = new FaultyStore();
  const keystead = await openWithParts(options, { store: (store) => faults.wrap(store) });
  return { keystead, clock, faults, options };
}

describe("a disk that is full for a moment", () => {
  it.each(Object.entries(acts))("harms nothing and is named, whenever it happens: %s", async (_, { before, act }) => {
    const { keystead, clock, faults, options } = await faultyKeystead();
    const sealed: string[] = [];
    for (const moment of ["begin", "commit"] as const) {
      for (let number = 1; ; number += 1) {
        const trial = { keystead, clock, key: `${moment}-${String(number)}` };
        await keystead.keys.create({ name: trial.key, purpose: "pii" });
        await before?.(trial);
        sealed.push(await keystead.encrypt(trial.key, trial.key));
        faults.arm(number, moment);
        const failure = await act(trial).then(
          () => undefined,
          (error: unknown) => error,
        );
        const hit = faults.disarm();
        if (failure !== undefined) expect(failure).toMatchObject({ name: "KeysteadError", code: "STORE_FULL" });
        if (!hit) break;
        expect(number).toBeLessThan(100);
      }
    }
    for (const text of sealed) expect(await keystead.decryptText(text)).toBe(text.split(":")[1]);
    clock.advance(2000);
    await keystead.close();
    const again = await openTestKeystead(options);
    expect((await again.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
    for (const text of sealed) expect(await again.decryptText(text)).toBe(text.split(":")[1]);
  });
});
