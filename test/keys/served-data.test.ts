import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import type { Caller } from "../../src/access/caller.ts";
import { KeysteadError } from "../../src/errors.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

const anna: Caller = { principal: { source: "token", id: "t1", name: "anna" }, request: { id: "r1", address: "127.0.0.1" } };
const by = { principal: anna.principal, request: anna.request };

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Everybody may do everything but what is listed, `action key`. */
function except(...denied: readonly string[]): AccessControl {
  return {
    authorize: (_, action, { key }) => {
      if (denied.includes(`${action} ${key ?? ""}`)) throw new KeysteadError("ACCESS_DENIED", "no");
    },
  };
}

describe("a served call on data", () => {
  it("leaves one record with its request, key, version and context, and no value", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.purposes.set("pii", { defaultKey: "k" });
    const context = { table: "person" };
    const call = keystead.as(anna);
    const sealed = await call.encrypt({ purpose: "pii" }, "x", { context });
    expect(call.records).toBe(1);
    await keystead.as(anna).decryptText(sealed, { context });
    expect(await codeOf(keystead.as(anna).decrypt(sealed))).toBe("DECRYPTION_FAILED");
    await keystead.as(anna).rewrap(sealed, { context });
    const { label } = (await keystead.keys.show("k")).versions[0] ?? {};
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([
      { action: "data.encrypt", outcome: "allowed", key: "k", version: label, context, ...by },
      { action: "data.decrypt", outcome: "allowed", key: "k", version: label, context, ...by },
      { action: "data.decrypt", outcome: "failed", code: "DECRYPTION_FAILED", key: "k", ...by },
      { action: "data.rewrap", outcome: "allowed", key: "k", context, ...by },
    ]);
  });

  it("of the process itself leaves none but its denial", async () => {
    const { keystead } = await createTestKeystead({ access: except("data.decrypt k") });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    expect(await codeOf(keystead.decrypt(sealed))).toBe("ACCESS_DENIED");
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([{ action: "data.decrypt", outcome: "denied", key: "k" }]);
  });

  it("that is denied does not tell whether there is such a key", async () => {
    const { keystead } = await createTestKeystead({ access: except("data.encrypt k", "data.encrypt l") });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.as(anna).encrypt("k", "x"))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.as(anna).encrypt("l", "x"))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.as(anna).encrypt("m", "x"))).toBe("UNKNOWN_KEY");
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([
      { outcome: "denied", key: "k" },
      { outcome: "denied", key: "l" },
      { outcome: "failed", key: "m", code: "UNKNOWN_KEY" },
    ]);
  });

  it("that opens nothing is recorded with the version that its ciphertext names", async () => {
    const { keystead } = await createTestKeystead({ access: except("data.reveal k") });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const ciphertext = await keystead.encrypt("k", "x");
    const sealedKey = (await keystead.dataKeys.create("k")).ciphertext;
    await keystead.keys.rotate("k");
    await keystead.keys.suspend("k", 1);
    const call = keystead.as(anna);
    expect(await codeOf(call.decrypt(ciphertext))).toBe("KEY_STATE");
    expect(await codeOf(call.dataKeys.open(sealedKey))).toBe("KEY_STATE");
    expect(await codeOf(call.reveal(ciphertext, { reason: "r" }))).toBe("ACCESS_DENIED");
    expect(await codeOf(call.rewrap(ciphertext, { context: { other: "context" } }))).toBe("DECRYPTION_FAILED");
    const [, key, version] = ciphertext.split(":");
    const refused = (await keystead.audit.show()).filter(({ outcome }) => outcome !== "allowed");
    expect(refused).toMatchObject(
      ["data.decrypt", "data-keys.open", "data.reveal", "data.rewrap"].map((action) => ({ action, key, version })),
    );
  });

  it("that was to give text and opens to bytes is recorded as failed, one by one and in a batch", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const ciphertext = await keystead.encrypt("k", Buffer.from([0xff]));
    const call = keystead.as(anna);
    expect(await codeOf(call.decryptText(ciphertext))).toBe("DECRYPTION_FAILED");
    expect(await call.decryptMany([{ ciphertext, text: true }])).toMatchObject([{ problem: { code: "DECRYPTION_FAILED" } }]);
    expect(await call.decryptMany([{ ciphertext }])).toMatchObject([{ plaintext: Buffer.from([0xff]) }]);
    const outcomes = (await keystead.audit.show({ action: "data.decrypt" })).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(["failed", "failed", "allowed"]);
  });

  it("that verifies a tag names the version of the tag, and nothing that is none", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const call = keystead.as(anna);
    const tag = await call.mac("m", "x");
    await keystead.keys.rotate("m");
    await call.verifyMac("m", "x", tag);
    await call.verifyMacMany([{ target: "m", data: "x", tag }]);
    await call.verifyMac("m", "x", "anna@mail.example.x").catch(() => undefined);
    const [version] = tag.split(".");
    const versions = (await keystead.audit.show({ action: "data.verify-mac" })).map((record) => record["version"]);
    expect(versions).toEqual([version, version, undefined]);
  });

  it("follows an alias and a purpose where they are moved", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    for (const name of ["k", "l"]) await keystead.keys.create({ name, purpose: "pii" });
    for (const name of ["k", "l", "k"]) {
      await keystead.keys.setAlias("current", name);
      await keystead.purposes.set("pii", { defaultKey: name });
      for (let round = 0; round < 2; round += 1) {
        expect(await keystead.encrypt("current", "x")).toMatch(`ks1:${name}:`);
        expect(await keystead.encrypt({ purpose: "pii" }, "x")).toMatch(`ks1:${name}:`);
        await keystead.refresh();
      }
    }
    await keystead.keys.removeAlias("current");
    expect(await codeOf(keystead.encrypt("current", "x"))).toBe("UNKNOWN_KEY");
  });

  it("whose context no record can hold is not answered, and that is recorded", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.as(anna).encrypt("k", "x", { context: { long: "x".repeat(5000) } }))).toBe("INVALID_ARGUMENT");
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([{ outcome: "failed", code: "INVALID_ARGUMENT", key: "k" }]);
  });
});

describe("a batch", () => {
  it("answers each item in its place, and leaves a record for each key with the digests of its items, what was denied apart", async () => {
    const { keystead } = await createTestKeystead({ access: except("data.encrypt secret") });
    for (const name of ["k", "secret"]) await keystead.keys.create({ name, purpose: "pii" });
    const sealed = await keystead
      .as(anna)
      .encryptMany([
        { target: "k", plaintext: "a" },
        { target: "secret", plaintext: "b" },
        { target: "unknown", plaintext: "c" },
        { target: "k", value: 7n },
        { target: "k" },
      ]);
    const codes = sealed.map((item) => (isProblem(item) ? item.problem.code : "sealed"));
    expect(codes).toEqual(["sealed", "ACCESS_DENIED", "UNKNOWN_KEY", "sealed", "INVALID_ARGUMENT"]);
    const [first, , , typed] = sealed.map(String);
    expect(await keystead.decryptText(first ?? "")).toBe("a");
    expect(await keystead.decryptValue(typed ?? "")).toBe(7n);
    const items = [sha256(first ?? ""), sha256(typed ?? "")];
    const [, , version] = (first ?? "").split(":");
    const told = { action: "data.encrypt", ...by };
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([
      { ...told, outcome: "allowed", key: "k", version, items, detail: { items: 2, failed: 0, denied: 0, batch: 5 } },
      { ...told, outcome: "denied", key: "secret", items: ["!ACCESS_DENIED"], detail: { items: 1, failed: 1, denied: 1, batch: 5 } },
      { ...told, outcome: "failed", key: "unknown", items: ["!UNKNOWN_KEY"], detail: { items: 1, failed: 1, denied: 0, batch: 5 } },
      { ...told, outcome: "failed", items: ["!INVALID_ARGUMENT"], detail: { items: 1, failed: 1, denied: 0, batch: 5 } },
    ]);
    expect(await keystead.audit.show({ key: "secret", outcome: "denied" })).toHaveLength(1);
  });

  it("tells of the context what its items share, and of the version when it is one", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const call = keystead.as(anna);
    const long = "x".repeat(5_000);
    const place = (row: string): Record<string, string> => ({ row, column: "email", long });
    const old = await keystead.encrypt("k", "a", { context: place("1") });
    await keystead.keys.rotate("k");
    const current = await keystead.encrypt("k", "b", { context: place("2") });
    const [one, two] = [
      { ciphertext: old, context: place("1") },
      { ciphertext: current, context: place("2") },
    ];
    await call.decryptMany([one]);
    await call.decryptMany([one, two]);
    await call.decryptMany([one, { ciphertext: current }]);
    const [[, , version], [, , later]] = [old.split(":"), current.split(":")];
    const records = (await keystead.audit.show({ action: "data.decrypt" })).map((record) => [record["version"], record["context"]]);
    expect(records).toEqual([
      [version, { row: "1", column: "email" }],
      [undefined, { column: "email" }],
      // What failed takes nothing from what is told of the other.
      [version, { row: "1", column: "email" }],
      [later, undefined],
    ]);
  });

  it("of a program that embeds Keystead leaves a record of what was denied, and of nothing else", async () => {
    const { keystead } = await createTestKeystead({ access: except("data.encrypt secret") });
    for (const name of ["k", "secret"]) await keystead.keys.create({ name, purpose: "pii" });
    await keystead.encryptMany([
      { target: "k", plaintext: "a" },
      { target: "secret", plaintext: "b" },
    ]);
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([{ outcome: "denied", key: "secret", items: ["!ACCESS_DENIED"] }]);
  });

  it("for Keystead's own purpose does not advise what is refused", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    const [answer] = await keystead.encryptMany([{ target: { purpose: "system" }, plaintext: "x" }]);
    expect(answer).toMatchObject({
      problem: {
        code: "UNKNOWN_KEY",
        message: "the purpose system is Keystead's own and has no default key; name a purpose of yours, or a key",
      },
    });
  });

  it("of nothing leaves a record, too", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    expect(await keystead.as(anna).encryptMany([])).toEqual([]);
    expect(await keystead.audit.show({ action: "data" })).toMatchObject([{ outcome: "allowed", items: [], detail: { items: 0 } }]);
  });

  it("of ciphertext is recorded by the digests of what came", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const context = { row: "1" };
    const sealed = await keystead.encrypt("k", "a", { context });
    const typed = await keystead.encryptValue("k", new Date(0), { context });
    const batch = [{ ciphertext: sealed, context }, { ciphertext: sealed }, { ciphertext: "x" }];
    const opened = await keystead.as(anna).decryptMany(batch);
    expect(opened.map((item) => (isProblem(item) ? item.problem.code : item.plaintext?.toString()))).toEqual([
      "a",
      "DECRYPTION_FAILED",
      "MALFORMED_CIPHERTEXT",
    ]);
    expect(await keystead.decryptMany([{ ciphertext: typed, context, typed: true }])).toEqual([{ value: new Date(0) }]);
    const moved = await keystead.as(anna).rewrapMany(batch);
    expect(moved.map((item) => (isProblem(item) ? item.problem.code : "moved"))).toEqual([
      "moved",
      "DECRYPTION_FAILED",
      "MALFORMED_CIPHERTEXT",
    ]);
    const failed = { outcome: "failed", items: [`${sha256(sealed)}!DECRYPTION_FAILED`] };
    const malformed = { outcome: "failed", items: [`${sha256("x")}!MALFORMED_CIPHERTEXT`] };
    const [, , version] = sealed.split(":");
    expect(await keystead.audit.show({ action: "data" })).toMatchObject(
      ["data.decrypt", "data.rewrap"].flatMap((action) => [
        { action, outcome: "allowed", key: "k", version, items: [sha256(sealed)] },
        { action, key: "k", version, ...failed },
        { action, ...malformed },
      ]),
    );
  });

  it("of 1,000 items that are long to tell of is recorded, too", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    const context = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`name-${String(index)}`, "\u0001".repeat(4_000)]));
    const opened = await keystead.as(anna).decryptMany(Array.from({ length: 1_000 }, () => ({ ciphertext: "x", context })));
    expect(opened.every((item) => isProblem(item) && item.problem.code === "MALFORMED_CIPHERTEXT")).toBe(true);
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.as(anna).encryptMany(Array.from({ length: 1_000 }, () => ({ target: "k", plaintext: "x", context })));
    expect(sealed.some(isProblem)).toBe(false);
    const records = await keystead.audit.show({ action: "data" });
    expect(records.map(({ action, detail }) => [action, detail])).toMatchObject(
      ["data.decrypt", "data.decrypt", "data.encrypt", "data.encrypt"].map((action) => [action, { items: 500, batch: 1_000 }]),
    );
  });

  it("has at most 1,000 items, which its records hold", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const item = { target: "k", plaintext: "x" };
    expect(await keystead.as(anna).encryptMany(Array.from({ length: 1000 }, () => item))).toHaveLength(1000);
    expect(await codeOf(keystead.as(anna).encryptMany(Array.from({ length: 1001 }, () => item)))).toBe("TOO_LARGE");
    expect((await keystead.audit.show({ action: "data" }))[0]).toMatchObject({ detail: { items: 500, failed: 0, batch: 1_000 } });
  });
});

describe("data keys, tags, hashes and random bytes", () => {
  it("are made, opened and recorded", async () => {
    const { keystead } = await createTestKeystead({ access: except() });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const context = { file: "1" };
    const call = keystead.as(anna);
    const { ciphertext, plaintext } = await call.dataKeys.create("k", { context, bytes: 64 });
    expect(plaintext).toHaveLength(64);
    expect(await call.dataKeys.open(ciphertext, { context })).toEqual(plaintext);
    expect(await codeOf(call.decrypt(ciphertext, { context }))).toBe("DECRYPTION_FAILED");
    const wrapped = await call.dataKeys.create("k", { plain: false });
    expect(Object.keys(wrapped)).toEqual(["ciphertext"]);
    const [made, short] = await call.dataKeys.createMany([{ target: "k" }, { target: "k", bytes: 8 }]);
    expect(isProblem(short)).toBe(true);
    const opened =
      made === undefined || isProblem(made) ? [] : await call.dataKeys.openMany([{ ciphertext: made.ciphertext }, { ciphertext: "x" }]);
    expect(opened.map((item) => (isProblem(item) ? item.problem.code : item.length))).toEqual([32, "MALFORMED_CIPHERTEXT"]);
    const tag = await call.mac("m", "x");
    expect(await call.verifyMac("m", "x", tag)).toBe(true);
    expect(await call.verifyMacMany([{ target: "m", data: "y", tag }])).toEqual([false]);
    expect(await call.macMany([{ target: "m", data: "x" }])).toEqual([tag]);
    expect((await call.hash("abc")).toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect((await call.hash("abc", "SHA3-256")).toString("hex")).toBe("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
    expect(await call.randomBytes(5)).toHaveLength(5);
    const actions = (await keystead.audit.show()).filter((record) => "request" in record).map((record) => record["action"]);
    expect(actions).toEqual([
      "data-keys.create-plain",
      "data-keys.open",
      "data.decrypt",
      "data-keys.create",
      "data-keys.create-plain",
      "data-keys.create-plain",
      "data-keys.open",
      "data-keys.open",
      "data.mac",
      "data.verify-mac",
      "data.verify-mac",
      "data.mac",
      "data.hash",
      "data.hash",
      "data.random",
    ]);
  });

  it("seeing a data key is another right than having one made", async () => {
    const { keystead } = await createTestKeystead({ access: except("data-keys.create-plain k") });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.dataKeys.create("k"))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.dataKeys.create("k", { plain: false }))).toBe("no error");
    const [plain, wrapped] = await keystead.dataKeys.createMany([{ target: "k" }, { target: "k", plain: false }]);
    expect([isProblem(plain), isProblem(wrapped)]).toEqual([true, false]);
    const told = await keystead.as(anna).dataKeys.createMany([{ target: "k" }, { target: "k", plain: false }]);
    expect(told).toHaveLength(2);
    const records = (await keystead.audit.show()).filter((record) => "request" in record);
    expect(records).toMatchObject([
      { action: "data-keys.create-plain", key: "k", outcome: "denied" },
      { action: "data-keys.create", key: "k", outcome: "allowed" },
    ]);
  });
});
