import { randomUUID } from "node:crypto";
import { describe, expect, inject, it, vi } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import { type CreateTokenInput } from "../../../src/keys/access/token-service.ts";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../../src/keystead.ts";
import { registerSecret } from "../../setup/canary.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../../support/test-keystead.ts";

const day = 86_400_000;
const anna: Caller = { principal: { source: "os-user", id: "anna" } };

async function newToken(keystead: Pick<Keystead, "tokens">, input: Partial<CreateTokenInput> = {}) {
  const created = await keystead.tokens.create({ name: "import", ...input });
  registerSecret(created.token);
  return created;
}

async function callerOf(keystead: Keystead, token: string): Promise<Caller> {
  const caller = await keystead.tokens.authenticator.authenticate(token);
  if (caller === undefined) throw new Error("it is no token of Keystead");
  return caller;
}

function refusal(keystead: Keystead, token: string): Promise<string> {
  return codeOf(async () => keystead.tokens.authenticator.authenticate(token));
}

describe("a token", () => {
  it("speaks for itself until it is revoked, and is shown once", async () => {
    const { keystead } = await createTestKeystead();
    const { token, id, ...info } = await newToken(keystead, { roles: ["encryptor"], scope: { keys: ["acme/**"] } });
    expect(info).toMatchObject({ name: "import", roles: ["encryptor"], state: "good", createdBy: "embedded:embedded" });
    const caller = await callerOf(keystead, token);
    expect(caller).toEqual({ principal: { source: "token", id, name: "import" }, roles: ["encryptor"], scope: { keys: ["acme/**"] } });
    expect(await callerOf(keystead, token)).toBe(caller);
    await keystead.tokens.revoke(id);
    expect(await refusal(keystead, token)).toBe("UNAUTHENTICATED");
    const listed = await keystead.tokens.list();
    expect(listed).toMatchObject([{ id, state: "revoked", revokedBy: "embedded:embedded" }]);
    expect(JSON.stringify(listed) + JSON.stringify(await keystead.audit.show())).not.toContain(token.slice(21));
  });

  it("ends after a day when nobody says, and never lasts longer than 366", async () => {
    const { keystead, clock } = await createTestKeystead();
    const { token } = await newToken(keystead);
    clock.advance(day - 1);
    expect(await callerOf(keystead, token)).toMatchObject({ principal: { source: "token" } });
    clock.advance(1);
    expect(await refusal(keystead, token)).toBe("UNAUTHENTICATED");
    const expiresAt = new Date(clock.now() + 366 * day + 1);
    expect(await codeOf(newToken(keystead, { expiresAt }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(newToken(keystead, { expiresAt: new Date(clock.now()) }))).toBe("INVALID_ARGUMENT");
  });

  it("is refused without saying why when it is altered, and left to others when it is none", async () => {
    const { keystead } = await createTestKeystead();
    const { token } = await newToken(keystead);
    const last = token.endsWith("A") ? "E" : "A";
    for (const bad of [token.slice(0, -1) + last, token.slice(0, -1), `${token}A`, `kst_${"a".repeat(16)}_${"A".repeat(43)}`, "kst_"])
      expect(await refusal(keystead, bad)).toBe("UNAUTHENTICATED");
    expect(keystead.tokens.authenticator.authenticate("eyJhbGciOiJub25lIn0.e30.")).toBeUndefined();
  });

  it("gets nothing that its maker may not do", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin"] });
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: ["data.encrypt"], keys: ["acme/**"] });
    const as = keystead.as(anna);
    expect(await codeOf(newToken(as, { roles: ["encryptor"] }))).toBe("ACCESS_DENIED");
    expect(await codeOf(newToken(as, { roles: ["encryptor"], scope: { actions: ["data.encrypt"] } }))).toBe("ACCESS_DENIED");
    expect(await codeOf(newToken(as, { roles: ["no-such-role"] }))).toBe("UNKNOWN_ROLE");
    const scope = { actions: ["data.encrypt"], keys: ["acme/x/*"] };
    const { token } = await newToken(as, { roles: ["encryptor", "admin"], scope });
    const caller = await callerOf(keystead, token);
    expect(await codeOf(keystead.as(caller).tokens.list())).toBe("ACCESS_DENIED");
    const policy = { effect: "deny", subject: "os-user:anna", actions: ["data.*"] } as const;
    await keystead.policies.create(policy);
    expect(await codeOf(newToken(as, { roles: ["encryptor"], scope }))).toBe("ACCESS_DENIED");
  });

  it("ends with the token that made it, and while its maker is disabled", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin"] });
    const first = await newToken(keystead.as(anna), { roles: ["admin"] });
    clock.advance(day / 2);
    const second = await newToken(keystead.as(await callerOf(keystead, first.token)), { roles: ["admin"] });
    const third = await newToken(keystead.as(await callerOf(keystead, second.token)), { roles: ["admin"] });
    expect([second.expiresAt, third.expiresAt]).toEqual([first.expiresAt, first.expiresAt]);
    const later = { expiresAt: new Date(Date.parse(first.expiresAt) + 1) };
    await expect(newToken(keystead.as(await callerOf(keystead, first.token)), later)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: `a token ends with the one by which it is made, at ${first.expiresAt}: give an end until then, or make it by other means`,
    });
    await keystead.principals.set("os-user:anna", { disabled: true });
    for (const { token } of [first, second, third]) expect(await refusal(keystead, token)).toBe("UNAUTHENTICATED");
    await keystead.principals.set("os-user:anna", { disabled: false });
    const caller = await callerOf(keystead, third.token);
    await keystead.tokens.revoke(second.id);
    expect(await refusal(keystead, third.token)).toBe("UNAUTHENTICATED");
    expect(await codeOf(keystead.as(caller).tokens.list())).toBe("ACCESS_DENIED");
  });
});

const places: readonly [string, () => KeysteadOptions][] = [
  ["SQLite", () => fileStore(temporaryFolder())],
  [
    "PostgreSQL",
    () => ({
      store: `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`,
      masterKeys: testMasterKeys,
      auditDirectory: temporaryFolder(),
    }),
  ],
];

describe.each(places)("two that have one store open on %s", (_, place) => {
  it("know each other's tokens at once, and hear of their end within the refresh bound", async () => {
    const options = place();
    const one = await initKeystead(options);
    const two = await openTestKeystead({ ...options, auditDirectory: temporaryFolder() });
    const known = await newToken(two);
    const { token, id } = await newToken(one, { roles: ["auditor"] });
    expect(await callerOf(two, known.token)).toBeDefined();
    const caller = await callerOf(two, token);
    expect(await two.as(caller).keys.list()).not.toEqual([]);
    const before = performance.now();
    await one.tokens.revoke(id);
    await vi.waitUntil(async () => (await codeOf(two.as(caller).keys.list())) === "ACCESS_DENIED", { timeout: 5_000, interval: 5 });
    expect(performance.now() - before).toBeLessThan(1_500);
    expect(await refusal(two, token)).toBe("UNAUTHENTICATED");
    await one.close();
  });
});
