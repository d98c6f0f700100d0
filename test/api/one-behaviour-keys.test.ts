import { expect, it } from "vitest";
import { verifyCertificate } from "../../src/index.ts";
import { entityTag } from "../../src/keys/entity-tag.ts";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";

everywhere("keys", (openPlace) => {
  it("keeps keys and their lifecycle", async () => {
    const { api } = await openPlace();
    const key = await api.keys.create({ name: "acme/pii-email", purpose: "pii", tags: { owner: "crm" }, rotationDays: 90 });
    expect(key).toMatchObject({ name: "acme/pii-email", purpose: "pii", usages: ["encrypt"], currentVersion: 1, tags: { owner: "crm" } });
    expect(await codeOf(api.keys.create({ name: "acme/pii-email", purpose: "pii" }))).toBe("NAME_TAKEN");
    expect(await codeOf(api.keys.create({ name: "x", purpose: "none" }))).toBe("UNKNOWN_PURPOSE");
    expect(await codeOf(api.keys.show("nobody"))).toBe("UNKNOWN_KEY");
    expect(await api.keys.show("acme/pii-email")).toEqual(key);
    const rotated = await api.keys.rotate("acme/pii-email", { reason: "yearly" });
    expect(rotated.currentVersion).toBe(2);
    expect((await api.keys.suspend("acme/pii-email", 1, { reason: "incident" })).versions[0]).toMatchObject({ state: "suspended" });
    expect((await api.keys.resume("acme/pii-email", 1)).versions[0]).toMatchObject({ state: "active" });
    await api.keys.setAlias("aktueller Schlüssel/ü?#%", "acme/pii-email");
    expect((await api.keys.show("aktueller Schlüssel/ü?#%")).aliases).toEqual(["aktueller Schlüssel/ü?#%"]);
    await api.keys.removeAlias("aktueller Schlüssel/ü?#%");
    expect(await codeOf(api.keys.removeAlias("aktueller Schlüssel/ü?#%"))).toBe("UNKNOWN_KEY");
    expect(await codeOf(api.keys.show("aktueller Schlüssel/ü?#%"))).toBe("UNKNOWN_KEY");
    await api.keys.deactivate("acme/pii-email", 1);
    expect(await api.keys.destroy("acme/pii-email", 1, { reason: "retired" })).toMatchObject({ status: "scheduled" });
    await api.keys.cancelDestroy("acme/pii-email", 1);
    expect(await codeOf(api.keys.cancelDestroy("acme/pii-email", 1))).toBe("KEY_STATE");
    expect(await codeOf(api.keys.destroy("acme/pii-email", 9))).toBe("UNKNOWN_KEY_VERSION");
    expect(await api.keys.usage("acme/pii-email", 1)).toMatchObject({ sealsOutsideDatasets: 0, refusals: 0, lastOpenedAt: null });
    const never = new Date(Number.NaN);
    expect(await codeOf(api.keys.create({ name: "x", purpose: "pii", expiresAt: never }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.keys.rotate("acme/pii-email", { activateAt: never }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.keys.list({ purpose: "a\ud800" }))).toBe("INVALID_ARGUMENT");
    // Over HTTP a name that can't be in an address is told apart from one that nobody has.
    expect(await codeOf(api.keys.show("a\ud800"))).toMatch(/^(?:UNKNOWN_KEY|INVALID_ARGUMENT)$/);
    expect((await api.keys.list({ purpose: "pii" })).map(({ name }) => name)).toEqual(["acme/pii-email"]);
  });

  it("activates a version before its day, and opens nothing of one that is compromised", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const sealed = await api.encrypt("k", "x");
    const planned = await api.keys.rotate("k", { activateAt: new Date("2099-01-01T00:00:00.000Z") });
    expect(planned).toMatchObject({ currentVersion: 1, versions: [{}, { state: "pre-active", activateAt: "2099-01-01T00:00:00.000Z" }] });
    const active = await api.keys.activate("k", 2, { reason: "sooner" });
    expect(active).toMatchObject({ currentVersion: 2, versions: [{}, { state: "active", current: true, stateReason: "sooner" }] });
    expect(await codeOf(api.keys.activate("k", 2))).toBe("KEY_STATE");
    expect(await codeOf(api.keys.activate("k", 3))).toBe("UNKNOWN_KEY_VERSION");
    const leaked = await api.keys.compromise("k", 1, { reason: "leak" });
    expect(leaked.versions).toMatchObject([{ state: "compromised", stateReason: "leak" }, { state: "active" }]);
    expect(await codeOf(api.keys.compromise("k", 1))).toBe("KEY_STATE");
    expect(await codeOf(api.decryptText(sealed))).toBe("KEY_STATE");
    expect(await api.decryptText(await api.rewrap(sealed))).toBe("x");
  });

  it("certifies what it destroyed", async () => {
    const { api, engine } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.rotate("k", { activateAt: new Date("2099-01-01T00:00:00.000Z") });
    expect(await codeOf(api.keys.certificate("k", 2))).toBe("KEY_STATE");
    const done = await api.keys.destroy("k", 2, { reason: "not needed" });
    const certificate = await api.keys.certificate("k", 2);
    expect(done).toMatchObject({ status: "destroyed", certificate });
    const pinnedKeys = (await api.audit.signers()).map(({ publicKey }) => publicKey);
    const { findings } = verifyCertificate(certificate, { pinnedKeys, storeId: engine.store.id });
    expect(findings).toEqual([]);
    expect(await codeOf(api.keys.certificate("k", 3))).toBe("UNKNOWN_KEY_VERSION");
  });

  it("changes what it was shown, and nothing else", async () => {
    const { api } = await openPlace();
    const shown = await api.keys.create({ name: "k", purpose: "pii" });
    const changed = await api.keys.set("k", { tags: { a: "b" }, rotationDays: 7 }, { ifMatch: entityTag(shown) });
    expect(changed).toMatchObject({ tags: { a: "b" }, rotationDays: 7 });
    expect(await codeOf(api.keys.set("k", { tags: {} }, { ifMatch: entityTag(shown) }))).toBe("PRECONDITION_FAILED");
    expect((await api.keys.set("k", { rotationDays: null }, { ifMatch: "*" })).rotationDays).toBeUndefined();
    const purpose = await api.purposes.create("health", { description: "health data" });
    expect(await api.purposes.show("health")).toEqual(purpose);
    await api.keys.create({ name: "h", purpose: "health" });
    await api.purposes.set("health", { defaultKey: "h" }, { ifMatch: entityTag(purpose) });
    expect(await codeOf(api.purposes.set("health", { defaultKey: null }, { ifMatch: entityTag(purpose) }))).toBe("PRECONDITION_FAILED");
    expect(await codeOf(api.purposes.create("health"))).toBe("NAME_TAKEN");
    expect(await codeOf(api.purposes.set("nothing", {}))).toBe("UNKNOWN_PURPOSE");
    expect(await codeOf(api.purposes.show("nothing"))).toBe("UNKNOWN_PURPOSE");
    expect(await codeOf(api.purposes.show("system"))).toBe("INVALID_ARGUMENT");
    const now = await api.purposes.show("health");
    expect(now).toMatchObject({ defaultKey: "h" });
    expect((await api.purposes.list()).find(({ name }) => name === "health")).toEqual(now);
    await api.purposes.set("health", { defaultKey: null }, { ifMatch: entityTag(now) });
    await api.purposes.set("health", { description: "of patients" }, { ifMatch: "*" });
  });

  it("keeps settings", async () => {
    const { api } = await openPlace();
    expect((await api.settings.set("destructionWaitingDays", 30)).destructionWaitingDays).toBe(30);
    expect(await codeOf(api.settings.set("destructionWaitingDays", 1000))).toBe("INVALID_ARGUMENT");
    expect(await api.settings.list()).toMatchObject({ destructionWaitingDays: 30, refreshBound: 50 });
  });
});
