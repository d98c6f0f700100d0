import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { verify, createPublicKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { encodeFields } from "../../src/crypto/encode.ts";
import type { DestructionStatus } from "../../src/keys/destroy-version.ts";
import { addToCounter } from "../../src/keys/counters.ts";
import { KeysteadError } from "../../src/errors.ts";
import { initKeystead } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { alteredStore, openWithParts } from "../support/test-parts.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder, type TestKeystead } from "../support/test-keystead.ts";

async function withTwoVersions(): Promise<TestKeystead> {
  const made = await createTestKeystead();
  await made.keystead.keys.create({ name: "k", purpose: "pii" });
  await made.keystead.keys.rotate("k");
  return made;
}

function certificateOf(result: DestructionStatus) {
  if (result.status !== "destroyed") throw new Error("not destroyed");
  return result.certificate;
}

describe("destroying a version", () => {
  it("is scheduled, waits, then executes and leaves a signed certificate", async () => {
    const { keystead, clock } = await withTwoVersions();
    const sealed = await keystead.encrypt("k", "kept");
    const scheduled = await keystead.keys.destroy("k", 1, { reason: "retired" });
    expect(scheduled).toMatchObject({ status: "scheduled", executeAfter: new Date(clock.now() + 7 * day).toISOString() });
    expect(await codeOf(keystead.keys.destroy("k", 1))).toBe("DESTRUCTION_WAITING");
    clock.advance(7 * day);
    const certificate = certificateOf(await keystead.keys.destroy("k", 1));
    const statement: unknown = JSON.parse(certificate.statement);
    expect(statement).toMatchObject({
      type: "keystead.destruction",
      key: { name: "k" },
      reason: "retired",
      evidence: { seals: { outsideDatasets: 0 } },
    });
    const key = createPublicKey({ key: Buffer.from(certificate.publicKey, "base64url"), format: "der", type: "spki" });
    const signed = encodeFields("keystead certificate v1", certificate.statement);
    expect(verify(null, signed, key, Buffer.from(certificate.signature, "base64url"))).toBe(true);
    expect((await keystead.keys.show("k")).versions.map((version) => version.state)).toEqual(["destroyed", "active"]);
    expect(await keystead.decryptText(sealed)).toBe("kept");
    expect(await codeOf(keystead.keys.destroy("k", 1))).toBe("KEY_STATE");
    expect((await keystead.audit.verify()).findings).toEqual([]);
  });

  it("is refused for the current version and where seals were made outside datasets", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.keys.destroy("k", 1))).toBe("VERSION_IN_USE");
    await keystead.encrypt("k", "x");
    await keystead.keys.rotate("k");
    await expect(keystead.keys.destroy("k", 1)).rejects.toThrow(/sealed outside datasets/);
  });

  it("is refused for a compromised version that sealed outside datasets, and each attempt to open it is counted", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const handle = await keystead.open("k");
    const current = handle.encrypt("x");
    await keystead.keys.rotate("k");
    await keystead.keys.compromise("k", 1);
    expect(await codeOf(() => handle.decrypt(current))).toBe("KEY_STATE");
    expect((await keystead.keys.usage("k", 1)).refusals).toBe(1);
    expect(await codeOf(keystead.keys.destroy("k", 1))).toBe("VERSION_IN_USE");
  });

  it("raises an alarm in the audit soon after somebody tried to open its data", async () => {
    const { keystead } = await createTestKeystead({ settings: { refreshBound: 20 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    await keystead.keys.suspend("k", 1);
    expect(await codeOf(keystead.decrypt(sealed))).toBe("KEY_STATE");
    const alarms = async () => (await keystead.audit.show()).filter(({ action, outcome }) => action === "keys.use" && outcome === "denied");
    await expect.poll(alarms, { timeout: 10_000, interval: 50 }).toMatchObject([{ key: "k", detail: { refusals: 1 } }]);
  });

  it("scheduled twice at once waits as the first one said, and a compromised version stays compromised when it is cancelled", async () => {
    const options = { ...fileStore(temporaryFolder()), clock: new TestClock() };
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    const second = await openTestKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    await first.keys.rotate("k");
    await first.keys.compromise("k", 1);
    const results = await Promise.all([
      first.keys.destroy("k", 1, { reason: "first" }),
      second.keys.destroy("k", 1, { reason: "second", waitingDays: 30 }),
    ]);
    const { executeAfter } = results.find((result) => result.status === "scheduled") ?? { executeAfter: "" };
    expect(results.map((result) => (result.status === "scheduled" ? result.executeAfter : result.status))).toEqual([
      executeAfter,
      executeAfter,
    ]);
    await first.keys.cancelDestroy("k", 1);
    expect((await first.keys.show("k")).versions[0]?.state).toBe("compromised");
    await first.close();
  });

  it("stops the execution when somebody tried to open, until it is cancelled and scheduled again", async () => {
    const { keystead, clock } = await withTwoVersions();
    const forged = (await keystead.encrypt("k", "x")).replace(
      /:2-[a-z2-7]{6}:/,
      `:${(await keystead.keys.show("k")).versions[0]?.label ?? ""}:`,
    );
    await keystead.keys.destroy("k", 1);
    clock.advance(day);
    await keystead.refresh();
    expect(await codeOf(keystead.decrypt(forged))).toBe("KEY_STATE");
    const findings = await keystead.doctor.examine();
    const messages = findings.filter((finding) => finding.status === "failed").map((finding) => finding.message);
    expect(messages.join()).toContain("tried to open");
    clock.advance(6 * day);
    await expect(keystead.keys.destroy("k", 1)).rejects.toThrow(/tried to open/);
    await keystead.keys.cancelDestroy("k", 1, { reason: "looking into it" });
    expect((await keystead.keys.show("k")).versions[0]?.state).toBe("deactivated");
    await keystead.keys.destroy("k", 1);
    clock.advance(7 * day);
    expect((await keystead.keys.destroy("k", 1)).status).toBe("destroyed");
  });

  it("waits at least the store's waiting time", async () => {
    const { keystead } = await withTwoVersions();
    expect(await codeOf(keystead.keys.destroy("k", 1, { waitingDays: 1 }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.keys.cancelDestroy("k", 1))).toBe("KEY_STATE");
  });

  it("is done, and says so, also when the store's files can't be scrubbed at that moment", async () => {
    const clock = new TestClock();
    const options = { ...fileStore(temporaryFolder()), clock };
    await (await initKeystead({ ...options, settings: { refreshBound: 20 } })).close();
    const busy = new KeysteadError("STORE_BUSY", "a reader still needs the log");
    const keystead = await openWithParts(options, { store: (store) => alteredStore(store, { scrub: () => Promise.reject(busy) }) });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
    expect(await keystead.keys.destroy("k", 2)).toMatchObject({ status: "destroyed", scrubbed: false });
    expect(await keystead.audit.show()).toContainEqual(
      expect.objectContaining({ action: "keys.destroy", outcome: "allowed", detail: { status: "destroyed", scrubbed: false } }),
    );
  });

  it("believes no counter that was deleted while the store is open", async () => {
    const folder = temporaryFolder();
    const clock = new TestClock();
    const keystead = await initKeystead({ ...fileStore(folder), clock, settings: { refreshBound: 20 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k");
    await keystead.keys.destroy("k", 1);
    clock.advance(8 * day);
    await keystead.encrypt("k", "x");
    const database = new DatabaseSync(join(folder, "keystead.db"));
    database.exec("DELETE FROM counters");
    database.close();
    await expect(keystead.keys.destroy("k", 1)).rejects.toMatchObject({ code: "STORE_TAMPERED" });
    expect((await keystead.keys.show("k")).versions[0]?.state).toBe("destruction-pending");
    await keystead.close().catch(() => undefined);
  });

  it("destroys a pre-active version at once", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
    expect((await keystead.keys.destroy("k", 2)).status).toBe("destroyed");
    expect((await keystead.keys.rotate("k")).currentVersion).toBe(3);
  });

  it("is not let through by a process that reports an older attempt later than a newer one", async () => {
    const options = { ...fileStore(temporaryFolder()), clock: new TestClock() };
    const { clock } = options;
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await first.keys.create({ name: "k", purpose: "pii" });
    await first.keys.rotate("k");
    const { id } = await first.keys.show("k");
    await first.keys.destroy("k", 1);
    await first.close();
    let store: Store | undefined;
    const second = await openWithParts(options, { store: (opened) => (store = opened) });
    const counter = { keyId: id, version: 1, datasetId: "" };
    const scheduledAt = clock.now();
    for (const lastRefusedAt of [scheduledAt + day, scheduledAt - day]) {
      await store?.transaction((tables) => addToCounter(tables, counter, { refusals: 1, lastRefusedAt }));
    }
    clock.advance(7 * day);
    await second.refresh();
    await expect(second.keys.destroy("k", 1)).rejects.toThrow(/tried to open/);
  });
});
