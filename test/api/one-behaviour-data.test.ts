import { expect, it } from "vitest";
import type { FieldValue } from "../../src/crypto/typed-value.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import type { DataKey } from "../../src/keys/data-key-service.ts";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";
import { outcome } from "./support/outcome.ts";

const context = { table: "person", column: "email" };

const values: readonly FieldValue[] = [
  "grüße 😀",
  -0,
  Number.NaN,
  1e300,
  2n ** 80n,
  true,
  new Date("2027-01-31T08:00:00.123Z"),
  Uint8Array.of(0, 255),
  { a: [1, null, "x"] },
  [],
];

everywhere("data", (openPlace) => {
  it("seals and opens text, bytes and values, bound to their context", async () => {
    const { api, engine } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.purposes.set("pii", { defaultKey: "k" });
    const sealed = await api.encrypt({ purpose: "pii" }, "anna@example.org", { context });
    expect(sealed).toMatch(/^ks1:k:1-/);
    expect(await api.decryptText(sealed, { context })).toBe("anna@example.org");
    expect(await engine.decryptText(sealed, { context })).toBe("anna@example.org");
    expect(await codeOf(api.decrypt(sealed))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.decrypt("plaintext"))).toBe("MALFORMED_CIPHERTEXT");
    expect(await codeOf(api.encrypt("k", "a\ud800"))).toBe("INVALID_ARGUMENT");
    const bytes = await api.encrypt("k", Uint8Array.of(0, 255, 128));
    expect([...(await api.decrypt(bytes))]).toEqual([0, 255, 128]);
    expect(await codeOf(api.decryptText(bytes))).toBe("DECRYPTION_FAILED");
    for (const value of values) expect(await api.decryptValue(await api.encryptValue("k", value, { context }), { context })).toEqual(value);
    const binary = await engine.encryptBytes("k", "x", { context });
    expect((await api.decrypt(binary, { context })).toString()).toBe("x");
    await api.keys.rotate("k");
    expect(await api.rewrap(sealed, { context })).toMatch(/^ks1:k:2-/);
    expect((await api.rewrap(binary, { context })).subarray(0, 9).toString()).toBe("ks1b:k:2-");
  });

  it("answers batches item by item", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const sealed = await api.encryptMany([
      { target: "k", plaintext: "a", context },
      { target: "unknown", plaintext: "b" },
      { target: "m", plaintext: "c" },
      { target: "k", value: 7n },
    ]);
    expect(sealed.map(outcome)).toEqual(["ok", "UNKNOWN_KEY", "KEY_USAGE", "ok"]);
    const [first = "", , , last = ""] = sealed.map(String);
    const opened = await api.decryptMany([{ ciphertext: first, context }, { ciphertext: first }, { ciphertext: last, typed: true }]);
    expect(opened.map(outcome)).toEqual(["ok", "DECRYPTION_FAILED", "ok"]);
    expect(opened[0]).toMatchObject({ plaintext: Buffer.from("a") });
    expect(opened[2]).toMatchObject({ value: 7n });
    expect((await api.rewrapMany([{ ciphertext: first, context }, { ciphertext: "x" }])).map(outcome)).toEqual([
      "ok",
      "MALFORMED_CIPHERTEXT",
    ]);
    const tags = await api.macMany([
      { target: "m", data: "x" },
      { target: "k", data: "x" },
    ]);
    expect(tags.map(outcome)).toEqual(["ok", "KEY_USAGE"]);
    const tag = typeof tags[0] === "string" ? tags[0] : "";
    expect(
      await api.verifyMacMany([
        { target: "m", data: "x", tag },
        { target: "m", data: "y", tag },
      ]),
    ).toEqual([true, false]);
  });

  it("answers items that can't even be said, and batches of none or too many", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const loneSurrogate = "a\ud800";
    const sealed = await api.encryptMany([
      { target: "k", plaintext: loneSurrogate },
      { target: "k", plaintext: "b" },
      { target: "k", value: new Date(Number.NaN) },
      { target: "k", value: { a: Number.NaN } },
      { target: "k", value: "c" },
    ]);
    expect(sealed.map(outcome)).toEqual(["INVALID_ARGUMENT", "ok", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "ok"]);
    const [text = "", value = ""] = sealed.filter((item) => typeof item === "string");
    expect(await api.decryptText(text)).toBe("b");
    expect(await api.decryptValue(value)).toBe("c");
    for (const value of [{ a: Number.NaN }, [Number.POSITIVE_INFINITY], new Date(Number.NaN), loneSurrogate])
      expect(await codeOf(api.encryptValue("k", value))).toBe("INVALID_ARGUMENT");
    const texts = [loneSurrogate, "b"];
    const tag = await api.mac("m", "b");
    const lists = [
      await api.macMany(texts.map((data) => ({ target: "m", data }))),
      await api.verifyMacMany(texts.map((data) => ({ target: "m", data, tag }))),
      await api.hashMany(texts.map((data) => ({ data }))),
    ];
    for (const list of lists) expect(list.map(outcome)).toEqual(["INVALID_ARGUMENT", "ok"]);
    for (const call of [api.hash(loneSurrogate), api.mac("m", loneSurrogate), api.verifyMac("m", loneSurrogate, "x")])
      expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
    const opened = [{ ciphertext: "" }, { ciphertext: text }];
    for (const list of [await api.decryptMany(opened), await api.rewrapMany(opened), await api.revealMany(opened, { reason: "test" })])
      expect(list.map(outcome)).toEqual(["MALFORMED_CIPHERTEXT", "ok"]);
    expect(await codeOf(api.decrypt(""))).toBe("MALFORMED_CIPHERTEXT");
    expect(await api.encryptMany([])).toEqual([]);
    const many = Array.from({ length: 1001 }, () => ({ target: "k", plaintext: "x" }));
    expect(await codeOf(api.encryptMany(many))).toBe("TOO_LARGE");
  });

  it("shows a field for a reason, one or many, and records why", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const sealed = await api.encrypt("k", "078-05-1120", { context });
    const typed = await api.encryptValue("k", new Date("2027-01-31T08:00:00.123Z"), { context });
    const bytes = await api.encrypt("k", Uint8Array.of(0, 255), { context });
    const { currentVersion, versions } = await api.keys.show("k");
    const header = { key: "k", version: currentVersion, label: versions[0]?.label };
    const reason = "ticket 4711";
    expect(await api.reveal(sealed, { context, reason })).toEqual({ text: "078-05-1120", masked: false, ...header });
    expect(await api.reveal(typed, { context, reason })).toEqual({ text: "2027-01-31T08:00:00.123Z", masked: false, ...header });
    expect(await codeOf(api.reveal(sealed, { context }))).toBe("REASON_REQUIRED");
    expect(await codeOf(api.reveal(sealed, { reason }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.reveal(bytes, { context, reason }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.reveal("x", { reason }))).toBe("MALFORMED_CIPHERTEXT");
    for (const wrong of ["", "x".repeat(501), "a\nb"])
      expect(await codeOf(api.reveal(sealed, { context, reason: wrong }))).toBe("INVALID_ARGUMENT");
    const items = [{ ciphertext: sealed, context }, { ciphertext: sealed }, { ciphertext: "x" }];
    const shown = await api.revealMany(items, { reason });
    expect(shown.map(outcome)).toEqual(["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"]);
    expect(shown[0]).toEqual({ text: "078-05-1120", masked: false, ...header });
    expect((await api.revealMany(items.slice(0, 1))).map(outcome)).toEqual(["REASON_REQUIRED"]);
    const records = await api.audit.show({ action: "data.reveal", key: "k", limit: 100 });
    expect(records[0]).toMatchObject({ outcome: "allowed", reason, context, version: header.label, detail: { shown: "plain" } });
    expect(records[2]).toMatchObject({ outcome: "failed", code: "REASON_REQUIRED" });
    expect(records.slice(-3)).toMatchObject([
      { outcome: "allowed", reason, context, detail: { items: 1, failed: 0, plain: 1, masked: 0 } },
      { outcome: "failed", reason, detail: { items: 1, failed: 1, plain: 0, masked: 0 } },
      { outcome: "failed" },
    ]);
    // Random ids and hashes have four given digits now and then.
    const random = new Set(["id", "items", "previous", "process", "request", "store", "writer"]);
    expect(JSON.stringify(records, (name, value: unknown) => (random.has(name) ? undefined : value))).not.toContain("1120");
    expect(JSON.stringify(records)).not.toContain("078-05");
  });

  it("makes data keys, tags, hashes and random bytes", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const { ciphertext, plaintext } = await api.dataKeys.create("k", { context, bytes: 16 });
    expect(plaintext).toHaveLength(16);
    expect(await api.dataKeys.open(ciphertext, { context })).toEqual(plaintext);
    expect(await codeOf(api.dataKeys.open(ciphertext))).toBe("DECRYPTION_FAILED");
    expect(Object.keys(await api.dataKeys.create("k", { plain: false }))).toEqual(["ciphertext"]);
    expect(await codeOf(api.dataKeys.create("k", { bytes: 15 }))).toBe("INVALID_ARGUMENT");
    const made = await api.dataKeys.createMany([{ target: "k", context }, { target: "unknown" }]);
    expect(made.map(outcome)).toEqual(["ok", "UNKNOWN_KEY"]);
    const [first = { ciphertext: "" }] = made.filter((item): item is DataKey => !isProblem(item));
    const items = [{ ciphertext: first.ciphertext, context }, { ciphertext: first.ciphertext }, { ciphertext: "x" }];
    const opened = await api.dataKeys.openMany(items);
    expect(opened.map(outcome)).toEqual(["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"]);
    expect(opened[0]).toEqual(first.plaintext);
    const tag = await api.mac("m", Uint8Array.of(1, 2));
    expect(await api.verifyMac("m", Uint8Array.of(1, 2), tag)).toBe(true);
    expect(await api.verifyMac("m", "x", tag)).toBe(false);
    expect(await codeOf(api.mac("k", "x"))).toBe("KEY_USAGE");
    expect(await codeOf(api.verifyMac("unknown", "x", tag))).toBe("UNKNOWN_KEY");
    expect((await api.hash("abc")).toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(await api.hashMany([{ data: "abc", algorithm: "SHA-512" }])).toHaveLength(1);
    expect(await api.randomBytes(33)).toHaveLength(33);
    const most = 1_048_576;
    expect(await api.randomBytes(most)).toHaveLength(most);
    for (const wrong of [0, -1, most + 1]) expect(await codeOf(api.randomBytes(wrong))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.randomBytesMany([{ bytes: most }, { bytes: 1 }]))).toBe("TOO_LARGE");
    expect((await api.randomBytesMany([{ bytes: 1 }, { bytes: 2 }])).map((bytes) => (isProblem(bytes) ? -1 : bytes.length))).toEqual([
      1, 2,
    ]);
  });
});
