import { describe, expect, it } from "vitest";
import { createIndexSpec } from "../../src/fields/blind-index.ts";
import { isKeysteadError } from "../../src/errors.ts";
import { initKeystead } from "../../src/keystead.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

describe("rotation", () => {
  it("publishes a version before it becomes current, and keeps every old one", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = [await keystead.encrypt("k", "value 1")];
    let waited = -1;
    const wait = clock.wait.bind(clock);
    clock.wait = async (milliseconds) => {
      const key = await keystead.keys.show("k");
      expect(key.versions.map((version) => version.state)).toEqual(["active", "active"]);
      expect(key.currentVersion).toBe(1);
      waited = milliseconds;
      await wait(milliseconds);
    };
    const rotated = await keystead.keys.rotate("k");
    expect(waited).toBe(1000);
    expect(rotated.currentVersion).toBe(2);
    sealed.push(await keystead.encrypt("k", "value 2"));
    expect(await Promise.all(sealed.map((text) => keystead.decryptText(text)))).toEqual(["value 1", "value 2"]);
  });

  it("finishes a rotation whose process died between publishing and the pointer", async () => {
    const folder = temporaryFolder();
    const clock = new TestClock();
    const first = await initKeystead({ ...fileStore(folder), clock });
    await first.keys.create({ name: "k", purpose: "pii" });
    clock.wait = () => Promise.reject(new Error("the process died here"));
    await expect(first.keys.rotate("k")).rejects.toThrow("died");
    expect((await first.keys.show("k")).currentVersion).toBe(1);
    await first.close();

    const later = new TestClock(clock.now() + 20_000);
    const second = await openTestKeystead({ ...fileStore(folder), clock: later });
    expect((await second.keys.show("k")).currentVersion).toBe(2);
    expect(await second.audit.show()).toContainEqual(
      expect.objectContaining({ action: "keys.rotate", reason: "finished a published rotation" }),
    );
  });

  it("activates a version when its date has come", async () => {
    const folder = temporaryFolder();
    const clock = new TestClock();
    const first = await initKeystead({ ...fileStore(folder), clock });
    await first.keys.create({ name: "k", purpose: "pii" });
    await first.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
    await first.close();

    const atDate = await openTestKeystead({ ...fileStore(folder), clock: new TestClock(clock.now() + day) });
    expect((await atDate.keys.show("k")).versions[1]?.state).toBe("active");
    await atDate.close();
    const later = await openTestKeystead({ ...fileStore(folder), clock: new TestClock(clock.now() + day + 5000) });
    expect((await later.keys.show("k")).currentVersion).toBe(2);
  });

  it("never moves the pointer back, and stops a version that is suspended before it is current", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
    expect((await keystead.keys.rotate("k")).currentVersion).toBe(3);
    const activated = await keystead.keys.activate("k", 2);
    expect(activated.currentVersion).toBe(3);
    expect(activated.versions[1]).toMatchObject({ state: "active", current: false });
    const wait = clock.wait.bind(clock);
    clock.wait = async (milliseconds) => {
      await keystead.keys.suspend("k", 4);
      await wait(milliseconds);
    };
    await expect(keystead.keys.rotate("k")).rejects.toMatchObject({ code: "KEY_STATE" });
    clock.wait = wait;
    expect((await keystead.keys.show("k")).currentVersion).toBe(3);
    expect(await keystead.encrypt("k", "x")).toMatch(/^ks1:k:3-/);
  });

  it("tells two version 2 of a forked store apart", async () => {
    const { keystead: a } = await createTestKeystead();
    const { keystead: b } = await createTestKeystead();
    await a.keys.create({ name: "k", purpose: "pii" });
    await b.keys.create({ name: "k", purpose: "pii" });
    const foreign = await b.encrypt("k", "x");
    expect(await codeOf(a.decrypt(foreign))).toBe("UNKNOWN_FINGERPRINT");
    await expect(a.decrypt(foreign)).rejects.toThrow(foreign.split(":")[2]);
  });
});

/** The message of a DECRYPTION_FAILED. */
function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isKeysteadError(error, "DECRYPTION_FAILED")) return error.message;
    throw error;
  }
  return "no error";
}

describe("a synchronous handle", () => {
  it("asks for a refresh once for a version it has not loaded, then says that it is another store's", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    const unknown = (await keystead.encrypt("k", "x")).replace(/:1-[a-z2-7]{6}:/, ":9-aaaaaa:");
    expect(await codeOf(() => key.decrypt(unknown))).toBe("KEY_VERSION_NOT_LOADED");
    await key.refresh();
    expect(await codeOf(() => key.decrypt(unknown))).toBe("UNKNOWN_FINGERPRINT");
  });

  it("refuses once its lease is older than 60 s on either clock, and works again after a refresh", async () => {
    const { keystead, clock } = await createTestKeystead({ settings: { refreshBound: 1000 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    clock.jump(60_001);
    expect(await codeOf(() => key.encrypt("x"))).toBe("KEY_LEASE_EXPIRED");
    await key.refresh();
    expect(key.encrypt("x")).toMatch(/^ks1:k:/);
    clock.jump(-3_600_000);
    expect(key.encrypt("x")).toMatch(/^ks1:k:/);
    clock.advance(60_001);
    clock.jump(-60_001);
    expect(await codeOf(() => key.encrypt("x"))).toBe("KEY_LEASE_EXPIRED");
  });

  it("opens, authenticates and verifies nothing either once its lease is older than that", async () => {
    const { keystead, clock } = await createTestKeystead({ settings: { refreshBound: 1000 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    await keystead.keys.create({ name: "i", purpose: "pii", usage: "blind-index" });
    const [key, mac, index] = [await keystead.open("k"), await keystead.open("m"), await keystead.open("i")];
    const token = index.indexer(
      createIndexSpec({ columns: ["c"], kind: "exact", bits: 32 }, { datasetId: "", generation: 1, keyVersion: 1 }),
    );
    const [text, value, bytes, tag] = [key.encrypt("x"), key.encryptValue(1), key.encryptBytes(Buffer.from("x")), mac.mac("x")];
    const acts = [
      () => key.decrypt(text),
      () => key.decryptValue(value),
      () => key.decrypt(bytes),
      () => mac.mac("x"),
      () => mac.verifyMac("x", tag),
      () => token(["x"]),
    ];
    for (const act of acts) expect(await codeOf(act)).toBe("no error");
    clock.jump(60_001);
    for (const act of acts) expect(await codeOf(act)).toBe("KEY_LEASE_EXPIRED");
  });

  it("refuses after close", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    await key.close();
    expect(await codeOf(() => key.encrypt("x"))).toBe("CLOSED");
  });

  it("opens nothing of another key, row, kind or malformed text", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.create({ name: "l", purpose: "pii" });
    const key = await keystead.open("k");
    const sealed = key.encrypt("x", { row: "1" });
    expect(await codeOf(() => key.decrypt(sealed, { row: "2" }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(() => key.decryptValue(sealed, { row: "1" }))).toBe("DECRYPTION_FAILED");
    const head = sealed.slice(0, sealed.lastIndexOf(":") + 1);
    const broken = [28, 39, 40, 41, 100].map((length) => `${head}${Buffer.alloc(length).toString("base64url")}`);
    const messages = [...broken, sealed].map((text) => messageOf(() => key.decrypt(text, { row: "2" })));
    expect(new Set(messages)).toEqual(new Set([messages.at(-1)]));
    expect(await codeOf(() => key.decrypt(`${sealed}!`, { row: "1" }))).toBe("MALFORMED_CIPHERTEXT");
    expect(await codeOf(() => key.decrypt("ks1:", { row: "1" }))).toBe("MALFORMED_CIPHERTEXT");
    const other = await keystead.open("l");
    expect(await codeOf(() => other.decrypt(sealed, { row: "1" }))).toBe("UNKNOWN_KEY");
    expect(await codeOf(() => key.encrypt("\ud800"))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => key.encrypt("x", Object.fromEntries([["row", "\udfff"]])))).toBe("INVALID_ARGUMENT");
  });

  it("keeps values with their type", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    const values = ["x", "", 1.5, -0, 12n, true, new Date(0), Uint8Array.of(1), { a: [1, null] }];
    for (const value of values) expect(key.decryptValue(key.encryptValue(value))).toEqual(value);
    for (const value of values) expect(key.decryptValue(key.encryptValueBytes(value))).toEqual(value);
  });

  it("makes and verifies MACs under a mac key, of old versions too", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "m", purpose: "api", usage: "mac" });
    const key = await keystead.open("m");
    const tag = key.mac("payload");
    await keystead.keys.rotate("m");
    await key.refresh();
    expect(key.verifyMac("payload", tag)).toBe(true);
    expect(key.verifyMac("payloae", tag)).toBe(false);
    expect(key.verifyMac("payload", `${tag}A`)).toBe(false);
    expect(key.mac("payload")).not.toBe(tag);
    const newer = tag.replace(/^1-/, "9-");
    expect(await codeOf(() => key.verifyMac("payload", newer))).toBe("KEY_VERSION_NOT_LOADED");
    await key.refresh();
    for (const wrong of [newer, tag.replace(/^1-/, "2-"), tag.slice(2), "", "."]) expect(key.verifyMac("payload", wrong)).toBe(false);
    expect(await codeOf(() => key.encrypt("x"))).toBe("KEY_USAGE");
  });
});
