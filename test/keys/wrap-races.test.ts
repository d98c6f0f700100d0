import { describe, expect, it } from "vitest";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { Gate, openWithParts } from "../support/test-parts.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

const next = { bytes: canaries.importedKey.bytes };

/** A store whose key `k` has version 1 waiting for its end, and two processes on it; the second one stops at its KEK on demand. */
async function twoProcesses() {
  const clock = new TestClock();
  const options: KeysteadOptions = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, next }, clock };
  const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
  await first.keys.create({ name: "k", purpose: "pii" });
  await first.keys.rotate("k");
  const sealed = await first.encrypt("k", "kept");
  await first.keys.destroy("k", 1);
  clock.advance(7 * day);
  await first.refresh();
  const { id } = await first.keys.show("k");
  const others = new Set((await first.keys.list()).map((key) => key.id).filter((other) => other !== id));
  const gates: Gate[] = [];
  const second = await openWithParts(options, {
    kekHook: (call, { subject }) => {
      const stops = call === "wrap" && subject !== "store" && !others.has(subject);
      return (stops ? gates.shift()?.pass() : undefined) ?? Promise.resolve();
    },
  });
  /** Runs `act` in the second process up to its first wrap of `k` or a new key, then `meanwhile`, then lets it go on. */
  const interleave = async <T>(act: (keystead: Keystead) => Promise<T>, meanwhile: () => Promise<unknown>): Promise<T> => {
    const gate = new Gate();
    gates.push(gate);
    const acting = act(second);
    await Promise.race([gate.reached(), acting]);
    await meanwhile();
    gate.open();
    return acting;
  };
  /** Everything opens with the new master key alone, and the store is whole. */
  const expectWhole = async (masterKeys: KeysteadOptions["masterKeys"] = { next }): Promise<void> => {
    await Promise.all([first.close(), second.close()]);
    const again = await openTestKeystead({ ...options, masterKeys });
    expect(await again.decryptText(sealed)).toBe("kept");
    expect((await again.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
  };
  return { first, second, clock, options, interleave, expectWhole };
}

describe("a KEK rotation", () => {
  it("does not put back the keyset key that a destruction replaced meanwhile", async () => {
    const { first, interleave, expectWhole } = await twoProcesses();
    const progress = await interleave(
      (second) => second.keks.rotate("local:main", "local:next"),
      () => first.keys.destroy("k", 1),
    );
    expect(progress.done).toBeGreaterThanOrEqual(3);
    expect((await first.keks.list()).map(({ wraps }) => wraps)).toEqual([0, 3]);
    await expectWhole();
  });

  it("is not undone by a destruction that began before it", async () => {
    const { first, interleave, expectWhole } = await twoProcesses();
    const destroyed = await interleave(
      (second) => second.keys.destroy("k", 1),
      () => first.keks.rotate("local:main", "local:next"),
    );
    expect(destroyed.status).toBe("destroyed");
    expect((await first.keks.list()).map(({ wraps }) => wraps)).toEqual([0, 3]);
    await expectWhole();
  });

  it("leaves no key behind that was being created", async () => {
    const { first, interleave, expectWhole } = await twoProcesses();
    await interleave(
      (second) => second.keys.create({ name: "new", purpose: "pii" }),
      () => first.keks.rotate("local:main", "local:next"),
    );
    expect((await first.keks.list()).map(({ wraps }) => wraps)).toEqual([0, 4]);
    await expectWhole();
  });

  it("goes well when two do it at once", async () => {
    const { first, second, expectWhole } = await twoProcesses();
    await Promise.all([first.keks.rotate("local:main", "local:next"), second.keks.rotate("local:main", "local:next")]);
    expect((await first.keks.list()).map(({ wraps }) => wraps)).toEqual([0, 3]);
    await expectWhole();
  });
});

describe("two destructions at once", () => {
  it("of two versions of a key both happen, and nothing else is lost", async () => {
    const { first, second, clock, expectWhole } = await twoProcesses();
    await first.keys.cancelDestroy("k", 1);
    const kept = await first.encrypt("k", "kept, too");
    await first.keys.rotate("k");
    await first.keys.rotate("k");
    await first.keys.destroy("k", 1);
    await first.keys.destroy("k", 3);
    clock.advance(7 * day);
    await Promise.all([first.refresh(), second.refresh()]);
    const results = await Promise.all([first.keys.destroy("k", 1), second.keys.destroy("k", 3)]);
    expect(results.map(({ status }) => status)).toEqual(["destroyed", "destroyed"]);
    expect((await first.keys.show("k")).versions.map(({ state }) => state)).toEqual(["destroyed", "active", "destroyed", "active"]);
    expect(await second.decryptText(kept)).toBe("kept, too");
    await expectWhole(testMasterKeys);
  });

  it("of the same version happen once, with one certificate", async () => {
    const { first, second, expectWhole } = await twoProcesses();
    const results = await Promise.allSettled([first.keys.destroy("k", 1), second.keys.destroy("k", 1)]);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const failures = results.flatMap((result): unknown[] => (result.status === "rejected" ? [result.reason] : []));
    expect(failures).toMatchObject([{ code: "KEY_STATE" }]);
    await expectWhole(testMasterKeys);
  });

  it("is stopped by a cancellation in between, and does not schedule anew", async () => {
    const { first, interleave, expectWhole } = await twoProcesses();
    const code = await codeOf(
      interleave(
        (second) => second.keys.destroy("k", 1),
        () => first.keys.cancelDestroy("k", 1),
      ),
    );
    expect(code).toBe("CONFLICT");
    expect((await first.keys.show("k")).versions[0]).toMatchObject({ state: "deactivated" });
    await expectWhole(testMasterKeys);
  });

  it("goes on when the key is rotated in between", async () => {
    const { first, interleave, expectWhole } = await twoProcesses();
    const destroyed = await interleave(
      (second) => second.keys.destroy("k", 1),
      () => first.keys.rotate("k"),
    );
    expect(destroyed.status).toBe("destroyed");
    const sealed = await first.encrypt("k", "of version 3");
    await expectWhole(testMasterKeys);
    expect(sealed).toMatch(/^ks1:k:3-/);
  });
});

describe("a passphrase that becomes a KEK while other processes run", () => {
  it("is derived alike by all of them", async () => {
    const passphrase = canaries.passphrase.text;
    const parameters = { algorithm: "argon2id", memoryKib: 19456, passes: 2, parallelism: 1 } as const;
    const options = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, spoken: { passphrase, parameters } } };
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    const second = await openTestKeystead(options);
    const third = await openTestKeystead(options);
    await Promise.all([
      first.routes.set({ purpose: "medical" }, "local:spoken"),
      second.routes.set({ purpose: "financial" }, "local:spoken"),
    ]);
    await first.keys.create({ name: "a", purpose: "medical" });
    await second.keys.create({ name: "b", purpose: "financial" });
    await third.keys.create({ name: "c", purpose: "medical" });
    const sealed = await Promise.all(["a", "b", "c"].map((name) => third.encrypt(name, name)));
    await Promise.all([first.close(), second.close(), third.close()]);
    const again = await openTestKeystead(options);
    for (const [index, name] of ["a", "b", "c"].entries()) expect(await again.decryptText(sealed[index] ?? "")).toBe(name);
    await again.close();
    const mistaken = await openTestKeystead({
      ...options,
      masterKeys: { ...testMasterKeys, spoken: { passphrase: "another passphrase", parameters } },
    });
    expect(await codeOf(mistaken.keys.create({ name: "d", purpose: "medical" }))).toBe("WRONG_MASTER_KEY");
  });
});
