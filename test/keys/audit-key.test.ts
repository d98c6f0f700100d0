import { describe, expect, it } from "vitest";
import { type Keystead, verifyCertificate } from "../../src/index.ts";
import { initKeystead } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { TestClock } from "../support/test-clock.ts";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { openWithParts } from "../support/test-parts.ts";

const day = 86_400_000;
const auditKey = "keystead/audit";

/** Destroys a version that never was active, and gives its certificate. */
async function certify(keystead: Keystead, clock: TestClock, name: string) {
  await keystead.keys.create({ name, purpose: "pii" });
  await keystead.keys.rotate(name, { activateAt: new Date(clock.now() + day) });
  await keystead.keys.destroy(name, 2);
  return keystead.keys.certificate(name, 2);
}

describe("what the audit key signed", () => {
  it("verifies after the key was rotated, and after its old version was retired and destroyed", async () => {
    const clock = new TestClock();
    const options = { ...fileStore(temporaryFolder()), clock };
    await (await initKeystead({ ...options, settings: { refreshBound: 20 } })).close();
    let store: Store | undefined;
    const keystead = await openWithParts(options, { store: (opened) => (store = opened) });
    const old = await certify(keystead, clock, "before");
    const [first, ...none] = await keystead.audit.signers();
    await keystead.audit.flush();
    expect(none).toEqual([]);

    await keystead.keys.rotate(auditKey);
    const young = await certify(keystead, clock, "after");
    const [, second] = await keystead.audit.signers();
    expect([old.signer, young.signer]).toEqual([first?.signer, second?.signer]);

    const pinnedKeys = [first, second].map((signer) => signer?.publicKey ?? Buffer.alloc(0));
    const assertWhole = async () => {
      for (const anchor of [{}, { pinnedKeys }]) {
        expect(await keystead.audit.verify(anchor)).toMatchObject({ findings: [], certificates: 2, uncovered: 0 });
      }
      for (const certificate of [old, young]) expect(verifyCertificate(certificate, { pinnedKeys }).findings).toEqual([]);
      expect(await keystead.keys.certificate("before", 2)).toEqual(old);
    };
    await assertWhole();

    await keystead.keys.deactivate(auditKey, 1, { reason: "rotated" });
    await assertWhole();

    // The gate keeps what signed anything; a version whose signatures were never counted may go.
    const { id } = await keystead.keys.show(auditKey);
    await store?.transaction(async (tables) => {
      for (const row of await tables.counters.list({ keyId: id, version: 1 })) await tables.counters.remove(row);
    });
    await keystead.keys.destroy(auditKey, 1);
    clock.advance(7 * day);
    await keystead.refresh();
    expect(await keystead.keys.destroy(auditKey, 1)).toMatchObject({ status: "destroyed" });
    expect((await keystead.audit.verify({ pinnedKeys })).findings).toEqual([]);
    for (const certificate of [old, young, await keystead.keys.certificate(auditKey, 1)]) {
      expect(verifyCertificate(certificate, { pinnedKeys }).findings).toEqual([]);
    }
  });

  it("is signed always: the version that signs can't be taken out of use before there is another one", async () => {
    const keystead = await initKeystead({ ...fileStore(temporaryFolder()), settings: { refreshBound: 20 } });
    for (const change of ["suspend", "deactivate", "compromise"] as const)
      await expect(keystead.keys[change](auditKey, 1)).rejects.toMatchObject({
        code: "KEY_STATE",
        message: expect.stringContaining("`keystead keys rotate keystead/audit`") as string,
      });
    await keystead.keys.rotate(auditKey);
    await keystead.keys.suspend(auditKey, 1);
    await keystead.keys.compromise(auditKey, 1);
    await keystead.audit.flush();
    expect(keystead.audit.problems).toEqual([]);
    expect((await keystead.audit.verify()).uncovered).toBe(0);
    await keystead.close();
  });

  it("is believed of pinned keys only", async () => {
    const clock = new TestClock();
    const options = { ...fileStore(temporaryFolder()), clock };
    const keystead = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await certify(keystead, clock, "before");
    await keystead.audit.flush();
    await keystead.keys.rotate(auditKey);
    const young = await certify(keystead, clock, "after");
    const signers = await keystead.audit.signers();
    expect(signers.map(({ current }) => current)).toEqual([false, true]);
    for (const { publicKey, current } of signers) {
      const { findings } = await keystead.audit.verify({ pinnedKeys: [publicKey] });
      expect(findings.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["checkpoint", "certificate"]));
      expect(verifyCertificate(young, { pinnedKeys: [publicKey] }).findings.length).toBe(current ? 0 : 1);
    }
    await keystead.close();
  });
});
