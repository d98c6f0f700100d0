import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import type { Principal } from "../../src/access/principal.ts";
import { systemClock } from "../../src/clock.ts";
import { isKeysteadError, KeysteadError } from "../../src/errors.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import type { Observer } from "../../src/observer.ts";
import { canaries } from "../setup/canary.ts";
import { day } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const badReasons: readonly (readonly [what: string, reason: string])[] = [
  ["is empty", ""],
  ["is too long", "x".repeat(1025)],
  ["has a control character", "a\u001b[31mb"],
  ["is ill-formed", "a\ud800"],
];

const reasonedActs: Readonly<Record<string, (keystead: Keystead, reason: string) => Promise<unknown>>> = {
  rotate: (keystead, reason) => keystead.keys.rotate("k", { reason }),
  suspend: (keystead, reason) => keystead.keys.suspend("k", 1, { reason }),
  deactivate: (keystead, reason) => keystead.keys.deactivate("k", 1, { reason }),
  compromise: (keystead, reason) => keystead.keys.compromise("k", 1, { reason }),
  destroy: (keystead, reason) => keystead.keys.destroy("k", 1, { reason }),
  "cancel-destroy": (keystead, reason) => keystead.keys.cancelDestroy("k", 1, { reason }),
};

describe("an act whose reason", () => {
  it.each(badReasons)("%s is refused before anything happens, and that is recorded", async (_, reason) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const before = await keystead.keys.show("k");
    for (const [name, act] of Object.entries(reasonedActs)) {
      expect(await codeOf(act(keystead, reason))).toBe("INVALID_ARGUMENT");
      const record = (await keystead.audit.show()).at(-1);
      expect(record).toMatchObject({ action: `keys.${name}`, outcome: "failed", code: "INVALID_ARGUMENT", key: "k" });
      expect(record).not.toHaveProperty("reason");
    }
    expect(await keystead.keys.show("k")).toEqual(before);
  });
});

describe("names that can't be", () => {
  const names: readonly (readonly [what: string, name: string, mayBeAlias: boolean])[] = [
    ["an empty one", "", false],
    ["one with a NUL", "a\0b", false],
    ["an ill-formed one", "a\ud800", false],
    ["an endless one", "x".repeat(5000), false],
    ["one with odd characters", "\u202e e-mail", true],
    ["a plaintext in the wrong place", canaries.email.text, true],
  ];

  it.each(names)("are unknown, not repeated and not recorded: %s", async (_, name, mayBeAlias) => {
    const { keystead } = await createTestKeystead();
    const acts: (() => Promise<unknown>)[] = [
      () => keystead.open(name),
      () => keystead.encrypt(name, "x"),
      () => keystead.keys.show(name),
      () => keystead.keys.rotate(name),
      () => keystead.keys.suspend(name, 1),
      () => keystead.keys.set(name, { rotationDays: 1 }),
      () => keystead.keys.usage(name, 1),
      () => keystead.keys.setAlias("alias", name),
      () => keystead.purposes.set("pii", { defaultKey: name }),
    ];
    for (const act of acts) {
      const error = await act().catch((caught: unknown) => caught);
      expect(isKeysteadError(error, "UNKNOWN_KEY")).toBe(true);
      if (name !== "") expect(inspect(error)).not.toContain(name.slice(0, 80));
    }
    expect(await codeOf(keystead.keys.create({ name, purpose: "pii" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.keys.setAlias(name, "keystead/audit"))).toBe(mayBeAlias ? "no error" : "INVALID_ARGUMENT");
    expect(await codeOf(keystead.purposes.create(name))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.encrypt("keystead/audit", "x", { dataset: name }))).toBe("UNKNOWN_DATASET");
    expect((await keystead.audit.verify()).findings).toEqual([]);
  });

  it("of purposes are unknown and not repeated", async () => {
    const { keystead } = await createTestKeystead();
    for (const purpose of ["", "a b", "x".repeat(65), canaries.name.text]) {
      const error = await keystead.keys.create({ name: "k", purpose }).catch((caught: unknown) => caught);
      expect(isKeysteadError(error, "UNKNOWN_PURPOSE")).toBe(true);
      if (purpose !== "") expect(inspect(error)).not.toContain(purpose);
    }
    await expect(keystead.keys.create({ name: "k", purpose: "pri" })).rejects.toThrow(/is named pri; registered are .*pii/);
  });
});

describe("the audit", () => {
  it("names key and version, also where an alias and a number were given, and access control sees the same", async () => {
    const asked: unknown[] = [];
    const access: AccessControl = {
      authorize: (_, action, resource) => {
        asked.push([action, resource.key]);
        return Promise.resolve();
      },
    };
    const { keystead } = await createTestKeystead({ access });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.setAlias("the key", "k");
    const { versions } = await keystead.keys.suspend("the key", 1);
    const label = versions[0]?.label;
    await codeOf(keystead.keys.suspend("the key", 1));
    await codeOf(keystead.keys.suspend("the key", 7));
    const records = (await keystead.audit.show()).filter((record) => record["action"] === "keys.suspend");
    expect(records.map(({ key, version, outcome }) => [key, version, outcome])).toEqual([
      ["k", label, "allowed"],
      ["k", label, "failed"],
      ["k", "7", "failed"],
    ]);
    expect(asked.filter((act) => String(act).startsWith("keys.suspend"))).toEqual(Array(3).fill(["keys.suspend", "k"]));
  });

  it("records a refusal by access control as denied, and nothing happens", async () => {
    const deny = new Set<string>();
    const access: AccessControl = {
      authorize: (_, action) => (deny.has(action) ? Promise.reject(new KeysteadError("ACCESS_DENIED", "not you")) : Promise.resolve()),
    };
    const { keystead } = await createTestKeystead({ access });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    deny.add("keys.suspend");
    expect(await codeOf(keystead.keys.suspend("k", 1))).toBe("ACCESS_DENIED");
    expect((await keystead.keys.show("k")).versions[0]?.state).toBe("active");
    expect((await keystead.audit.show()).at(-1)).toMatchObject({ action: "keys.suspend", outcome: "denied", key: "k" });
  });

  it("says what was changed of purposes, settings, keys and routes, and never a credential", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.purposes.set("pii", { defaultKey: "k", algorithms: ["XAES-256-GCM"], rotationDays: null });
    await keystead.keys.set("k", { tags: { a: "b" }, rotationDays: 30 });
    await keystead.settings.set("backupRetentionDays", 30);
    await codeOf(keystead.routes.set({}, `pkcs11:token=x?pin-value=${canaries.passphrase.text}`));
    await codeOf(keystead.keks.rotate("local:main", `https://user:${canaries.passphrase.text}@host`));
    const records = (await keystead.audit.show()).map(({ action, detail, outcome }) => [action, outcome, detail]);
    expect(records.slice(-5)).toEqual([
      ["purposes.set", "allowed", { purpose: "pii", defaultKey: "k", algorithms: "XAES-256-GCM", rotationDays: null }],
      ["keys.set", "allowed", { tags: 1, rotationDays: 30 }],
      ["settings.set", "allowed", { name: "backupRetentionDays", value: 30 }],
      ["routes.set", "failed", { purpose: null, namePrefix: null, kek: "malformed" }],
      ["keks.rotate", "failed", { from: "local:main", to: "malformed" }],
    ]);
    expect(JSON.stringify(await keystead.audit.show())).not.toContain(canaries.passphrase.text);
  });

  it("refuses a malformed principal when the store is opened", async () => {
    const malformed: Principal[] = [
      { source: "embedded", id: "" },
      { source: "embedded", id: "a\nb" },
      { source: "embedded", id: "x".repeat(256) },
    ];
    for (const principal of malformed) expect(await codeOf(createTestKeystead({ principal }))).toBe("INVALID_ARGUMENT");
  });
});

describe("closing", () => {
  it("waits for acts that run, so that what they change is recorded, and lets no other begin", async () => {
    const folder = temporaryFolder();
    const keystead = await initKeystead({ ...fileStore(folder), settings: { refreshBound: 200 } });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const rotating = keystead.keys.rotate("k");
    const closing = keystead.close();
    expect(await codeOf(keystead.keys.suspend("k", 1))).toBe("CLOSED");
    expect((await rotating).currentVersion).toBe(2);
    await closing;
    const again = await openTestKeystead(fileStore(folder));
    expect(await again.audit.show()).toContainEqual(expect.objectContaining({ action: "keys.rotate", outcome: "allowed" }));
  });

  it("waits for nothing that ended, also where an observer broke its word and threw", async () => {
    const observer: Partial<Observer> = {
      actEnded: () => {
        throw new Error("broken");
      },
    };
    const { keystead } = await createTestKeystead({ observers: [observer] });
    await expect(keystead.encrypt("k", "x")).rejects.toThrow("broken");
    const begun = systemClock.monotonic();
    await keystead.close();
    expect(systemClock.monotonic() - begun).toBeLessThan(5_000);
  });

  it("ends every handle, loses no count, and can be done twice", async () => {
    const folder = temporaryFolder();
    const keystead = await initKeystead(fileStore(folder));
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    for (let count = 0; count < 7; count += 1) key.encrypt("x");
    await Promise.all([keystead.close(), keystead.close()]);
    expect(await codeOf(() => key.encrypt("x"))).toBe("CLOSED");
    expect(await codeOf(() => key.current)).toBe("CLOSED");
    expect(await codeOf(keystead.encrypt("k", "x"))).toBe("CLOSED");
    expect(await codeOf(keystead.keys.rotate("k"))).toBe("CLOSED");
    expect(await codeOf(keystead.open("k"))).toBe("CLOSED");
    await key.close();
    const again = await openTestKeystead(fileStore(folder));
    expect((await again.keys.usage("k", 1)).sealsOutsideDatasets).toBe(7);
  });
});

describe("bounds that are checked before anything is stored", () => {
  it("of dates: nothing expires before it began, and nothing happens in the past", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const at = (milliseconds: number): Date => new Date(clock.now() + milliseconds);
    const dates = [
      { expiresAt: at(0) },
      { expiresAt: at(-day) },
      { activateAt: at(-1) },
      { activateAt: at(-1), expiresAt: at(day) },
      { activateAt: at(2 * day), expiresAt: at(day) },
      { expiresAt: new Date(Number.NaN) },
      { activateAt: new Date(Number.NaN) },
    ];
    for (const date of dates) {
      expect(await codeOf(keystead.keys.rotate("k", date))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(keystead.keys.create({ name: "l", purpose: "pii", ...date }))).toBe("INVALID_ARGUMENT");
    }
    expect((await keystead.keys.list({ purpose: "pii" })).map(({ versions }) => versions.length)).toEqual([1]);
  });

  it("of waiting times: the instant must exist", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k");
    for (const waitingDays of [1e8, 36_501, Number.MAX_SAFE_INTEGER, 7.5, Number.NaN, -1, 6]) {
      expect(await codeOf(keystead.keys.destroy("k", 1, { waitingDays }))).toBe("INVALID_ARGUMENT");
    }
    expect((await keystead.keys.show("k")).versions[0]?.state).toBe("active");
  });

  it("of settings: only those that people may change, within their bounds", async () => {
    const { keystead } = await createTestKeystead();
    const before = await keystead.settings.list();
    const set = keystead.settings.set.bind(keystead.settings) as (name: string, value: number) => Promise<unknown>;
    for (const [name, value] of [
      ["restoredAt", 0],
      ["copiedAt", 0],
      ["toString", 1],
      ["refreshBound", 1001],
      ["refreshBound", Number.NaN],
      ["backupRetentionDays", 0.5],
    ] as const) {
      expect(await codeOf(set(name, value))).toBe("INVALID_ARGUMENT");
    }
    expect(await keystead.settings.list()).toEqual(before);
  });

  it("of names: an alias is taken from a key, and a name is taken, only by who may do that to both", async () => {
    const { keystead } = await createTestKeystead();
    for (const name of ["own/a", "secret/x"]) await keystead.keys.create({ name, purpose: "pii" });
    await keystead.keys.setAlias("own/pay", "secret/x");
    await keystead.policies.create({ effect: "allow", subject: "os-user:eve", actions: ["keys.*"], keys: ["own/**"] });
    const eve = keystead.as({ principal: { source: "os-user", id: "eve" } });
    const { versions } = await keystead.keys.show("secret/x");
    expect(await codeOf(eve.keys.setAlias("own/pay", "own/a"))).toBe("ACCESS_DENIED");
    expect(await codeOf(eve.keys.setAlias("secret/y", "own/a"))).toBe("ACCESS_DENIED");
    expect(await codeOf(eve.keys.setAlias("secret/x", "own/a"))).toBe("ACCESS_DENIED");
    expect(await codeOf(eve.keys.removeAlias("own/pay"))).toBe("ACCESS_DENIED");
    expect((await keystead.keys.show("own/pay")).versions).toEqual(versions);
    expect(await codeOf(eve.keys.setAlias("own/b", "own/a"))).toBe("no error");
    expect(await codeOf(eve.keys.removeAlias("own/b"))).toBe("no error");
    await keystead.keys.setAlias("own/pay", "own/a");
    const moved = (await keystead.audit.show({ action: "keys.set-alias" })).at(-1);
    expect(moved).toMatchObject({ key: "own/a", detail: { alias: "own/pay", from: "secret/x" } });
    const removed = (await keystead.audit.show({ action: "keys.remove-alias" })).at(-1);
    expect(removed).toMatchObject({ key: "own/a", outcome: "allowed" });
  });

  it("of names: a key can't take an alias's name, nor an alias a key's", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "a", purpose: "pii" });
    await keystead.keys.setAlias("b", "a");
    expect(await codeOf(keystead.keys.create({ name: "b", purpose: "pii" }))).toBe("NAME_TAKEN");
    expect(await keystead.encrypt("b", "x")).toMatch(/^ks1:a:/);
  });

  it("of algorithms of a purpose: those that encrypt", async () => {
    const { keystead } = await createTestKeystead();
    expect(await codeOf(keystead.purposes.set("pii", { algorithms: ["Ed25519"] }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.purposes.set("pii", { description: "a\u0007" }))).toBe("INVALID_ARGUMENT");
  });

  it("of what is sealed: text and bytes", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    for (const value of [1, null, undefined, {}, [1]]) expect(await codeOf(() => key.encrypt(value as string))).toBe("INVALID_ARGUMENT");
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(0);
  });
});
