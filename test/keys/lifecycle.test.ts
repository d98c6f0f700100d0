import { describe, expect, it } from "vitest";
import { permits, phases, type VersionOperation, type VersionPhase } from "../../src/keys/version-state.ts";
import { day } from "../support/test-clock.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

const context = { table: "person", column: "email" };

describe("the states of a version", () => {
  const operations: readonly VersionOperation[] = ["seal", "open", "reencrypt", "verify"];
  const permitted: Record<VersionPhase, readonly VersionOperation[]> = {
    "pre-active": [],
    active: ["seal", "open", "reencrypt", "verify"],
    suspended: ["reencrypt"],
    deactivated: ["open", "reencrypt", "verify"],
    "destruction-pending": ["reencrypt"],
    compromised: ["reencrypt"],
    destroyed: [],
  };

  it.each(Object.entries(permitted))("%s permits what NIST SP 800-57 and the design say", (name, expected) => {
    const phase = Object.keys(phases).find((key): key is VersionPhase => key === name);
    expect(phase && operations.filter((operation) => permits(phase, operation))).toEqual(expected);
  });

  it("lets nothing leave destroyed", () => {
    expect(phases.destroyed.goesTo).toEqual([]);
  });
});

describe("creating a key", () => {
  it("makes version 1, active and current, and seals and opens", async () => {
    const { keystead } = await createTestKeystead();
    const key = await keystead.keys.create({ name: "acme/pii-email", purpose: "pii", tags: { team: "crm" } });
    expect(key).toMatchObject({ currentVersion: 1, algorithm: "XAES-256-GCM", usages: ["encrypt"], tags: { team: "crm" } });
    const sealed = await keystead.encrypt("acme/pii-email", "anna@example.org", { context });
    expect(sealed.startsWith(`ks1:acme/pii-email:${key.versions[0]?.label ?? ""}:`)).toBe(true);
    expect(await keystead.decryptText(sealed, { context })).toBe("anna@example.org");
  });

  it.each(["XAES-256-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-GCM-KC"])("seals and opens with %s", async (algorithm) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii", algorithm });
    const sealed = await keystead.encryptBytes("k", Buffer.from([0, 255, 1]), { context });
    expect(await keystead.decrypt(sealed, { context })).toEqual(Buffer.from([0, 255, 1]));
    expect(await codeOf(keystead.decrypt(sealed))).toBe("DECRYPTION_FAILED");
  });

  it.each([
    ["an oversized name", { name: "a".repeat(256), purpose: "pii" }, "INVALID_ARGUMENT"],
    ["an empty segment", { name: "a//b", purpose: "pii" }, "INVALID_ARGUMENT"],
    ["five segments", { name: "a/b/c/d/e", purpose: "pii" }, "INVALID_ARGUMENT"],
    ["a reserved name", { name: "keystead/mine", purpose: "pii" }, "INVALID_ARGUMENT"],
    ["an unknown purpose", { name: "k", purpose: "pri" }, "UNKNOWN_PURPOSE"],
    ["the engine's purpose", { name: "k", purpose: "system" }, "INVALID_ARGUMENT"],
    ["an unknown algorithm", { name: "k", purpose: "pii", algorithm: "AES-128-ECB" }, "UNKNOWN_ALGORITHM"],
    ["an algorithm of another usage", { name: "k", purpose: "pii", algorithm: "Ed25519" }, "INVALID_ARGUMENT"],
    ["a lone surrogate in a tag", { name: "k", purpose: "pii", tags: { a: "\ud800" } }, "INVALID_ARGUMENT"],
    ["half a day of rotation", { name: "k", purpose: "pii", rotationDays: 0.5 }, "INVALID_ARGUMENT"],
    ["an invalid date", { name: "k", purpose: "pii", expiresAt: new Date(Number.NaN) }, "INVALID_ARGUMENT"],
  ])("refuses %s", async (_, input, code) => {
    const { keystead } = await createTestKeystead();
    expect(await codeOf(keystead.keys.create(input))).toBe(code);
    expect(await keystead.keys.list({ purpose: "pii" })).toEqual([]);
  });

  it("never reuses a name, and names the registered purposes for an unknown one", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.keys.create({ name: "k", purpose: "medical" }))).toBe("NAME_TAKEN");
    await expect(keystead.keys.create({ name: "l", purpose: "nope" })).rejects.toThrow(/pii.*medical|medical.*pii/);
  });

  it("follows its purpose: allowed algorithms, rotation, hardware", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.purposes.set("medical", { algorithms: ["AES-256-GCM-KC"], rotationDays: 30 });
    expect(await codeOf(keystead.keys.create({ name: "k", purpose: "medical" }))).toBe("INVALID_ARGUMENT");
    const key = await keystead.keys.create({ name: "k", purpose: "medical", algorithm: "AES-256-GCM-KC" });
    expect(key.rotationDays).toBe(30);
    await keystead.purposes.set("financial", { hardware: true });
    await expect(keystead.keys.create({ name: "f", purpose: "financial" })).rejects.toThrow(/hardware-backed/);
  });

  it("stands for its purpose when it is the default key", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(keystead.encrypt({ purpose: "pii" }, "x"))).toBe("UNKNOWN_KEY");
    await keystead.purposes.set("pii", { defaultKey: "k" });
    expect(await keystead.encrypt({ purpose: "pii" }, "x")).toMatch(/^ks1:k:1-/);
    await keystead.keys.create({ name: "signer", purpose: "pii", usage: "sign" });
    await expect(keystead.purposes.set("medical", { defaultKey: "signer" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "key signer is for sign and of purpose pii; name a key for encrypt and of purpose medical",
    });
    expect(await codeOf(keystead.purposes.set("pii", { defaultKey: "signer" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.purposes.set("medical", { defaultKey: "k" }))).toBe("INVALID_ARGUMENT");
  });
});

describe("changing state", () => {
  it("suspends and resumes", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x", { context });
    await keystead.keys.suspend("k", 1, { reason: "incident 12" });
    expect(await codeOf(keystead.encrypt("k", "y"))).toBe("KEY_STATE");
    expect(await codeOf(keystead.decrypt(sealed, { context }))).toBe("KEY_STATE");
    const key = await keystead.keys.resume("k", 1);
    expect(key.versions[0]?.state).toBe("active");
    expect(await keystead.decryptText(sealed, { context })).toBe("x");
  });

  it("lets a deactivated version open and not seal, a compromised one neither", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.encrypt("k", "x");
    await keystead.keys.deactivate("k", 1);
    expect(await codeOf(keystead.encrypt("k", "y"))).toBe("KEY_STATE");
    expect(await keystead.decryptText(sealed)).toBe("x");
    await keystead.keys.compromise("k", 1, { reason: "laptop stolen" });
    expect(await codeOf(keystead.decrypt(sealed))).toBe("KEY_STATE");
    await keystead.keys.rotate("k");
    expect(await keystead.encrypt("k", "y")).toMatch(/^ks1:k:2-/);
  });

  it.each(["activate", "resume"] as const)("refuses to %s an active version", async (change) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await expect(keystead.keys[change]("k", 1)).rejects.toMatchObject({ code: "KEY_STATE" });
  });

  it("audits every change with its reason, and failures too", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.suspend("k", 1, { reason: "incident 12" });
    await codeOf(keystead.keys.suspend("k", 1));
    const records = await keystead.audit.show();
    expect(records).toContainEqual(
      expect.objectContaining({ action: "keys.suspend", outcome: "allowed", key: "k", reason: "incident 12" }),
    );
    expect(records).toContainEqual(expect.objectContaining({ action: "keys.suspend", outcome: "failed", code: "KEY_STATE" }));
    expect((await keystead.audit.verify()).findings).toEqual([]);
  });
});

describe("dates", () => {
  it("refuses to seal after the expiry, names the remedy, and opens on", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii", expiresAt: new Date(clock.now() + day) });
    const sealed = await keystead.encrypt("k", "x");
    clock.advance(day);
    await expect(keystead.encrypt("k", "y")).rejects.toThrow(/keystead keys rotate k/);
    expect(await codeOf(keystead.encrypt("k", "y"))).toBe("KEY_VERSION_EXPIRED");
    expect(await keystead.decryptText(sealed)).toBe("x");
    await keystead.keys.rotate("k");
    expect(await keystead.encrypt("k", "y")).toMatch(/^ks1:k:2-/);
  });

  it("keeps a version pre-active until its date, or until it is activated", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii", activateAt: new Date(clock.now() + day) });
    expect(await codeOf(keystead.encrypt("k", "x"))).toBe("KEY_STATE");
    const key = await keystead.keys.activate("k", 1);
    expect(key.currentVersion).toBe(1);
    expect(await keystead.encrypt("k", "x")).toMatch(/^ks1:k:1-/);
  });

  it("keeps the old version current while the new one is pre-active", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
    expect(await keystead.encrypt("k", "x")).toMatch(/^ks1:k:1-/);
  });

  it("tells when rotation is due", async () => {
    const { keystead, clock } = await createTestKeystead();
    const key = await keystead.keys.create({ name: "k", purpose: "pii", rotationDays: 90 });
    expect(key.rotationDue).toBe(new Date(clock.now() + 90 * day).toISOString());
    clock.advance(91 * day);
    await keystead.refresh();
    const findings = await keystead.doctor.examine();
    const messages = findings.filter((finding) => finding.status === "warning").map((finding) => finding.message);
    expect(messages.join()).toContain("due for rotation");
  });
});

describe("aliases", () => {
  it("point to a key, move, and are never in ciphertext", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "a", purpose: "pii" });
    await keystead.keys.create({ name: "b", purpose: "pii" });
    await keystead.keys.setAlias("e-mail (old)", "a");
    const sealed = await keystead.encrypt("e-mail (old)", "x");
    expect(sealed).toMatch(/^ks1:a:/);
    await keystead.keys.setAlias("e-mail (old)", "b");
    expect(await keystead.encrypt("e-mail (old)", "x")).toMatch(/^ks1:b:/);
    expect(await keystead.decryptText(sealed)).toBe("x");
    expect(await codeOf(keystead.keys.setAlias("a", "b"))).toBe("NAME_TAKEN");
    await keystead.keys.removeAlias("e-mail (old)");
    expect(await codeOf(keystead.encrypt("e-mail (old)", "x"))).toBe("UNKNOWN_KEY");
  });
});
