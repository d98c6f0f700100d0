import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import { KeysteadError } from "../../src/errors.ts";
import type { Context, Keystead } from "../../src/index.ts";
import { collect, pieces } from "../crypto/support/streams.ts";
import { createCrm, personDataset } from "../datasets/support/crm.ts";
import { canaries } from "../setup/canary.ts";
import { day, type TestClock } from "../support/test-clock.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

const context = { table: "person", row: "7" };

interface Options {
  readonly context?: Context;
  readonly key?: string;
}

/** What is sealed outside datasets: how it is made, moved and opened. */
interface Sealed {
  readonly what: string;
  readonly value: unknown;
  readonly seal: (keystead: Keystead, options: { readonly dataset?: string }) => Promise<string | Uint8Array>;
  readonly move: (keystead: Keystead, sealed: string | Uint8Array, options: Options) => Promise<string | Uint8Array>;
  readonly open: (keystead: Keystead, sealed: string | Uint8Array, options: Options) => Promise<unknown>;
}

const move: Sealed["move"] = (keystead, sealed, options) => keystead.rewrap(sealed, options);
const bytes = Buffer.from([0, 255, 1]);
const large = Buffer.alloc(150_000, "file");
const { text } = canaries.diagnosis;

const everything: readonly Sealed[] = [
  {
    what: "text",
    value: text,
    seal: (keystead, options) => keystead.encrypt("k", text, { context, ...options }),
    move,
    open: (keystead, sealed, options) => keystead.decryptText(sealed, options),
  },
  {
    what: "bytes in the binary form",
    value: bytes,
    seal: (keystead, options) => keystead.encryptBytes("k", bytes, { context, ...options }),
    move,
    open: (keystead, sealed, options) => keystead.decrypt(sealed, options),
  },
  ...[new Date(0), 2n ** 70n, -0, true, text, { a: [1] }].map((typed): Sealed => ({
    what: `a typed ${typed instanceof Date ? "date" : typeof typed}`,
    value: typed,
    seal: (keystead, options) => keystead.encryptValue("k", typed, { context, ...options }),
    move,
    open: (keystead, sealed, options) => keystead.decryptValue(sealed, options),
  })),
  {
    what: "a typed value in the binary form",
    value: 7,
    seal: async (keystead, options) => (await keystead.open("k", options)).encryptValueBytes(7, context),
    move,
    open: (keystead, sealed, options) => keystead.decryptValue(sealed, options),
  },
  {
    what: "a stream",
    value: large,
    seal: (keystead, options) => collect(keystead.encryptStream("k", pieces(large), { context, ...options })),
    move: (keystead, sealed, options) => collect(keystead.rewrapStream(pieces(Buffer.from(sealed)), options)),
    open: (keystead, sealed, options) => collect(keystead.decryptStream(pieces(Buffer.from(sealed)), options)),
  },
];

/** Key name and version number of a ciphertext. */
function headerOf(sealed: string | Uint8Array): string {
  const [, key = "", label = ""] = (typeof sealed === "string" ? sealed : Buffer.from(sealed).toString("latin1", 0, 100)).split(":");
  return `${key} ${label.split("-")[0] ?? ""}`;
}

describe.each(everything)("rewrapping $what", ({ value, seal, move, open }) => {
  it("moves it to the current version of its key, or to another key, and keeps what it is and its form", async () => {
    const { keystead } = await createTestKeystead();
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const old = await seal(keystead, {});
    await keystead.keys.rotate("k");
    const moved = await move(keystead, old, { context });
    const elsewhere = await move(keystead, old, { context, key: "other" });
    expect([old, moved, elsewhere].map(headerOf)).toEqual(["k 1", "k 2", "other 1"]);
    for (const sealed of [old, moved, elsewhere]) {
      expect(typeof sealed).toBe(typeof old);
      expect(await open(keystead, sealed, { context })).toStrictEqual(value);
    }
  });

  it("is refused with another context or when it was altered, as any opening is", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await seal(keystead, {});
    expect(await codeOf(move(keystead, sealed, { context: { ...context, row: "8" } }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(move(keystead, sealed, {}))).toBe("DECRYPTION_FAILED");
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(1);
  });

  it.each(["suspend", "compromise"] as const)("opens what was sealed before %s, which decrypting refuses", async (act) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await seal(keystead, {});
    await keystead.keys.rotate("k");
    await keystead.keys[act]("k", 1);
    const refused = { code: "KEY_STATE", message: expect.stringContaining("`keystead rewrap` outside datasets") as unknown };
    await expect(open(keystead, sealed, { context })).rejects.toMatchObject(refused);
    const moved = await move(keystead, sealed, { context });
    expect(headerOf(moved)).toBe("k 2");
    expect(await open(keystead, moved, { context })).toStrictEqual(value);
    await expect(open(keystead, sealed, { context })).rejects.toMatchObject(refused);
    expect(await keystead.keys.usage("k", 1)).toMatchObject({ opens: 1, refusals: 2 });
  });

  it("opens what a version sealed that waits for destruction, and nothing that is destroyed", async () => {
    const { keystead, clock, sealed } = await createPending(seal);
    const moved = await move(keystead, sealed, { context });
    expect(await open(keystead, moved, { context })).toStrictEqual(value);
    expect(await keystead.keys.usage("k", 1)).toMatchObject({ opens: 1, refusals: 0, lastOpenedAt: new Date(clock.now()).toISOString() });
    clock.advance(7 * day);
    expect((await keystead.keys.destroy("k", 1)).status).toBe("destroyed");
    expect(await codeOf(move(keystead, sealed, { context }))).toBe("KEY_STATE");
    expect(await open(keystead, moved, { context })).toStrictEqual(value);
  });
});

/** A value that was sealed for a dataset, as its census shows that none is left, and lies elsewhere; its version's end is near. */
async function createPending(
  seal: Sealed["seal"],
): Promise<{ readonly keystead: Keystead; readonly clock: TestClock; readonly sealed: string | Uint8Array }> {
  const { keystead, clock } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)");
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.datasets.add("crm.person", personDataset({ name: "k" }));
  const sealed = await seal(keystead, { dataset: "crm.person" });
  await keystead.keys.rotate("k");
  expect((await keystead.keys.destroy("k", 1)).status).toBe("scheduled");
  return { keystead, clock, sealed };
}

describe("rewrapping", () => {
  it("seals by the rules for sealing", async () => {
    const { keystead } = await createTestKeystead();
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    await keystead.keys.compromise("k", 1);
    await expect(keystead.rewrap(sealed)).rejects.toMatchObject({
      code: "KEY_STATE",
      message: expect.stringContaining("run `keystead keys rotate k`") as unknown,
    });
    await keystead.keys.suspend("other", 1);
    expect(await codeOf(keystead.rewrap(sealed, { key: "other" }))).toBe("KEY_STATE");
    await keystead.keys.resume("other", 1);
    expect(await keystead.decryptText(await keystead.rewrap(sealed, { key: "other" }))).toBe("x");
  });

  it("is no way around what is unknown, malformed or of another kind", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    expect(await codeOf(keystead.rewrap(sealed.replace(/1-[a-z2-7]{6}/, "1-aaaaaa")))).toBe("UNKNOWN_FINGERPRINT");
    expect(await codeOf(keystead.rewrap(sealed.replace("ks1:k:", "ks1:l:")))).toBe("UNKNOWN_KEY");
    expect(await codeOf(keystead.rewrap("x"))).toBe("MALFORMED_CIPHERTEXT");
    const key = await keystead.open("k");
    const { label, payload } = key.sealFileKey(Buffer.alloc(32));
    expect(await codeOf(keystead.rewrap(`ks1:k:${label}:${payload.toString("base64url")}`))).toBe("DECRYPTION_FAILED");
  });

  it("is an act of its own to access control and audit", async () => {
    const denied = new Set<string>();
    const asked: string[] = [];
    const access: AccessControl = {
      authorize: (_, action, { key }) => {
        asked.push(`${action} ${key ?? ""}`);
        if (denied.has(`${action} ${key ?? ""}`)) throw new KeysteadError("ACCESS_DENIED", "no");
      },
    };
    const { keystead } = await createTestKeystead({ access });
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    await keystead.keys.rotate("k");
    denied.add("data.rewrap k");
    expect(await codeOf(keystead.rewrap(sealed))).toBe("ACCESS_DENIED");
    expect(await keystead.decryptText(sealed)).toBe("x");
    denied.clear();
    denied.add("data.encrypt other");
    asked.length = 0;
    await keystead.rewrap(sealed);
    expect(await codeOf(keystead.rewrap(sealed, { key: "other" }))).toBe("ACCESS_DENIED");
    denied.clear();
    await keystead.rewrap(sealed, { key: "other" });
    const elsewhere = ["data.rewrap k", "data.encrypt other"];
    expect(asked).toEqual(["data.rewrap k", ...elsewhere, ...elsewhere, "data.decrypt k"]);
    expect(await keystead.audit.show({ action: "keys.rewrap" })).toMatchObject([{ key: "k", outcome: "allowed" }]);
    const records = await keystead.audit.show({ action: "data.rewrap" });
    expect(records).toMatchObject([
      { key: "k", outcome: "denied" },
      { key: "k", outcome: "denied" },
    ]);
  });

  it.each(everything)("$what is no way to read with another key's rights what one may not open", async ({ seal, move }) => {
    const denied = new Set(["data.decrypt k"]);
    const access: AccessControl = {
      authorize: (_, action, { key, context: asked }) => {
        if (!denied.has(`${action} ${key ?? ""}`)) return;
        expect(asked).toEqual(context);
        throw new KeysteadError("ACCESS_DENIED", "no");
      },
    };
    const { keystead } = await createTestKeystead({ access });
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const sealed = await seal(keystead, {});
    const served = keystead.as({ principal: { source: "token", id: "t" }, request: { id: "r" } });
    expect(headerOf(await move(keystead, sealed, { context, key: "k" }))).toBe("k 1");
    expect(await codeOf(move(keystead, sealed, { context, key: "other" }))).toBe("ACCESS_DENIED");
    denied.clear();
    const text = await keystead.encrypt("k", "x");
    const [, , version] = text.split(":");
    await served.rewrap(text, { key: "other" });
    expect(await keystead.audit.show({ action: "data.rewrap" })).toMatchObject([
      { key: "k", outcome: "denied", detail: { to: "other" } },
      { key: "k", version, outcome: "allowed", detail: { to: "other", toVersion: (await keystead.keys.show("other")).versions[0]?.label } },
    ]);
  });

  it("to a key that the caller may not use does not tell whether there is one", async () => {
    const access: AccessControl = {
      authorize: (_, action, { key }) => {
        if (action === "data.encrypt" && key !== "k") throw new KeysteadError("ACCESS_DENIED", "no");
      },
    };
    const { keystead } = await createTestKeystead({ access });
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const ciphertext = await keystead.encrypt("k", "x");
    for (const key of ["other", "nothing"]) {
      expect(await codeOf(keystead.rewrap(ciphertext, { key }))).toBe("ACCESS_DENIED");
      expect(await keystead.rewrapMany([{ ciphertext, key }])).toMatchObject([{ problem: { code: "ACCESS_DENIED" } }]);
    }
  });

  it("to a key that the caller may not use is refused in the same words whether there is one or not", async () => {
    const { keystead } = await createTestKeystead();
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const actions = ["data.encrypt", "data.rewrap"];
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions, keys: ["k"] });
    const anna = keystead.as({ principal: { source: "os-user", id: "anna" } });
    const ciphertext = await anna.encrypt("k", "x");
    const [one, none] = await Promise.all(
      ["other", "nothing"].map((key) => anna.rewrap(ciphertext, { key }).catch((error: unknown) => String(error))),
    );
    expect(one).toBe(none);
  });

  it.each(["suspend", "compromise"] as const)("what a version sealed before %s takes a right of its own", async (stop) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const both = ["encryptor", "decryptor"];
    await keystead.principals.set("os-user:anna", { roles: both });
    await keystead.principals.set("os-user:bob", { roles: both });
    await keystead.policies.create({ effect: "allow", subject: "os-user:bob", actions: ["data.rewrap-stopped"] });
    const as = (id: string) => keystead.as({ principal: { source: "os-user", id } });
    const [anna, bob] = [as("anna"), as("bob")];
    const sealed = await keystead.encrypt("k", "x");
    const stream = await collect(keystead.encryptStream("k", pieces(Buffer.from("x"), 1)));
    await keystead.keys.rotate("k");
    expect(await codeOf(anna.rewrap(sealed))).toBe("no error");
    await keystead.keys[stop]("k", 1);
    expect(await codeOf(anna.rewrap(sealed))).toBe("ACCESS_DENIED");
    expect(await anna.rewrapMany([{ ciphertext: sealed }])).toMatchObject([{ problem: { code: "ACCESS_DENIED" } }]);
    expect(await codeOf(collect(anna.rewrapStream(pieces(stream, 10))))).toBe("ACCESS_DENIED");
    expect(await bob.decryptText(await bob.rewrap(sealed))).toBe("x");
  });

  it("of many tells where each went", async () => {
    const { keystead } = await createTestKeystead({ access: { authorize: () => undefined } });
    for (const name of ["k", "other", "third"]) await keystead.keys.create({ name, purpose: "pii" });
    const ciphertext = await keystead.encrypt("k", "x");
    const served = keystead.as({ principal: { source: "token", id: "t" }, request: { id: "r" } });
    const keys = ["other", "k", "third", "other"];
    await served.rewrapMany([{ ciphertext }, ...keys.map((key) => ({ ciphertext, key })), { ciphertext, key: "other", context }]);
    expect(await keystead.audit.show({ action: "data.rewrap" })).toMatchObject([
      { key: "k", outcome: "allowed", detail: { items: 2, failed: 0, batch: 6 } },
      {
        key: "k",
        outcome: "allowed",
        detail: { to: "other", toVersion: (await keystead.keys.show("other")).versions[0]?.label, items: 2 },
      },
      { key: "k", outcome: "allowed", detail: { to: "third", items: 1 } },
      { key: "k", outcome: "failed", detail: { to: "other", items: 1 } },
    ]);
  });

  it("of many asks the same of each item", async () => {
    const access: AccessControl = {
      authorize: (_, action, { key }) => {
        if (action === "data.decrypt" && key === "k") throw new KeysteadError("ACCESS_DENIED", "no");
      },
    };
    const { keystead } = await createTestKeystead({ access });
    for (const name of ["k", "other"]) await keystead.keys.create({ name, purpose: "pii" });
    const ciphertext = await keystead.encrypt("k", "x");
    const [moved, refused] = await keystead.rewrapMany([{ ciphertext }, { ciphertext, key: "other" }]);
    expect(moved).toMatch(/^ks1:k:/);
    expect(refused).toMatchObject({ problem: { code: "ACCESS_DENIED" } });
  });
});
