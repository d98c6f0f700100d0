import { describe, expect, it } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import { subjectOf } from "../../../src/access/subject.ts";
import type { Keystead } from "../../../src/keystead.ts";
import { registerSecret } from "../../setup/canary.ts";
import { allow, user } from "../../support/access.ts";
import { codeOf, createTestKeystead } from "../../support/test-keystead.ts";

type Administration = Pick<Keystead, "policies" | "principals">;

/** An administrator by name, who is something besides, and what he opens. */
async function administratorWho(caller: Caller, roles: readonly string[], tokenRoles: readonly string[]) {
  const { keystead } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.principals.set(subjectOf(caller.principal), { roles });
  const sealed = await keystead.encrypt("k", "x");
  const person = keystead.as(caller);
  const { id, token } = await person.tokens.create({ name: "mine", roles: tokenRoles });
  registerSecret(token);
  const mine = await keystead.tokens.authenticator.authenticate(token);
  if (mine === undefined) throw new Error("it is no token of Keystead");
  return { keystead, sealed, person, id, byToken: keystead.as(mine) };
}

describe("an administrator", () => {
  it("can't give himself rights, by whatever way", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin"] });
    await keystead.policies.create({ ...allow("os-user:anna", ["keks.rotate"]), effect: "deny" });
    const denies = await keystead.policies.list();
    const caller = user("anna", { claims: { team: ["a"] } });
    const anna = keystead.as(caller);
    const { id } = await anna.tokens.create({ name: "mine", roles: [] });
    const ways: (() => Promise<unknown>)[] = [
      () => anna.policies.create(allow("os-user:anna", ["data.decrypt"])),
      () => anna.policies.create(allow("*", ["*"])),
      () => anna.policies.create(allow("role:admin", ["keys.destroy"])),
      () => anna.policies.create(allow("claim:team=a", ["data.encrypt"], { keys: ["k"] })),
      () => anna.policies.create(allow(`token:${id}`, ["data.encrypt"])),
      () => anna.principals.set("os-user:anna", { roles: ["admin", "decryptor"] }),
      () => anna.principals.set("claim:team=a", { roles: ["key-admin"] }),
      () => anna.principals.set(`token:${id}`, { roles: ["signer"] }),
      () => anna.policies.remove(denies[0]?.id ?? ""),
      () => anna.policies.set(denies[0]?.id ?? "", { ...allow("os-user:bob", ["keks.rotate"]), effect: "deny" }),
    ];
    for (const [index, way] of ways.entries()) expect(await codeOf(way()), String(index)).toBe("ACCESS_DENIED");
    expect(await keystead.policies.list()).toEqual(denies);
    const others: (() => Promise<unknown>)[] = [
      () => anna.principals.set("os-user:bob", { roles: ["decryptor"] }),
      () => anna.policies.create(allow("os-user:bob", ["data.encrypt"])),
      () => anna.policies.create(allow("os-user:anna", ["settings.set"])),
      () => anna.policies.create({ ...allow("role:admin", ["settings.set"]), effect: "deny" }),
    ];
    for (const way of others) expect(await codeOf(way())).toBe("no error");
  });
});

describe.each([
  ["claims", { principal: { source: "oidc", id: "main:anna" }, claims: { team: ["a"] } }, "claim:team=a", "claim:team=b"],
  ["groups", user("anna", { groups: [7] }), "group:7", "group:8"],
] as const)("an administrator's token", (what, person: Caller, own, other) => {
  it(`gives the person behind it nothing by ${what} which it does not know`, async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set(subjectOf(person.principal), { roles: ["admin"] });
    const { token } = await keystead.as(person).tokens.create({ name: "mine", roles: ["admin"] });
    registerSecret(token);
    const caller = await keystead.tokens.authenticator.authenticate(token);
    if (caller === undefined) throw new Error("it is no token of Keystead");
    const mine = keystead.as(caller);
    const deny = await keystead.policies.create({ ...allow(own, ["data.decrypt"]), effect: "deny" });
    const encrypt = allow(own, ["data.encrypt"]);
    expect(await codeOf(mine.policies.create(encrypt))).toBe("ACCESS_DENIED");
    expect(await codeOf(mine.principals.set(own, { roles: ["key-admin"] }))).toBe("ACCESS_DENIED");
    expect(await codeOf(mine.policies.create(allow(own, ["settings.set"])))).toBe("no error");
    expect(await codeOf(mine.policies.create(allow("os-user:bob", ["data.encrypt"])))).toBe("no error");
    // What is denied to the one counts when the other allows it.
    await keystead.policies.create(allow(other, ["data.decrypt"]));
    expect(await codeOf(mine.policies.remove(deny.id))).toBe("ACCESS_DENIED");
    await keystead.policies.create(allow(other, ["keys.list"]));
    expect(await codeOf(mine.policies.create(allow(own, ["keys.list"])))).toBe("ACCESS_DENIED");
    await keystead.principals.set(own, { disabled: true });
    expect(await codeOf(mine.principals.remove(own))).toBe("ACCESS_DENIED");
    // Nor does a role that one of them has, or a lifted deny on the person, go around that.
    await keystead.policies.create(allow("role:staff", ["keys.show"]));
    await keystead.principals.set(other, { roles: ["staff", "decryptor"] });
    const ban = await keystead.policies.create({ ...allow(subjectOf(person.principal), ["data.*"]), effect: "deny" });
    expect(await codeOf(mine.policies.remove(ban.id))).toBe("ACCESS_DENIED");
    expect(await codeOf(mine.policies.create(allow("role:staff", ["data.index"])))).toBe("ACCESS_DENIED");
    expect(await codeOf(mine.policies.create(allow(other, ["tokens.list"])))).toBe("no error");
    await keystead.policies.remove(ban.id);
    // Whoever is known to have another is not stopped.
    await keystead.principals.remove(own);
    const known = keystead.as({ ...person, claims: {}, groups: [] });
    expect(await codeOf(known.policies.create(encrypt))).toBe("no error");
  });
});

describe("an administrator of an identity provider", () => {
  it("gives nothing to claims that are chosen when somebody signs in", async () => {
    const { keystead } = await createTestKeystead();
    const person: Caller = { principal: { source: "oidc", id: "main:anna" }, claims: { scope: ["openid"] } };
    await keystead.principals.set("oidc:main:anna", { roles: ["admin"] });
    const anna = keystead.as(person);
    for (const name of ["scope", "scp", "azp", "client_id"])
      expect(await codeOf(anna.policies.create(allow(`claim:${name}=x`, ["data.decrypt"]))), name).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.policies.create(allow("claim:team=x", ["data.decrypt"])))).toBe("no error");
    expect(await codeOf(anna.policies.create(allow("claim:scope=x", ["settings.set"])))).toBe("no error");
  });

  it("narrows what others gave to a token of his", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin"] });
    const anna = keystead.as(user("anna"));
    const { id, token } = await anna.tokens.create({ name: "mine" });
    registerSecret(token);
    const given = await keystead.policies.create(allow(`token:${id}`, ["data.decrypt"], { keys: ["a/**"] }));
    const narrow = allow(`token:${id}`, ["data.decrypt"], { keys: ["a/b"] });
    expect(await codeOf(anna.policies.set(given.id, narrow))).toBe("no error");
    expect(await codeOf(anna.policies.set(given.id, allow(`token:${id}`, ["data.decrypt"])))).toBe("ACCESS_DENIED");
  });
});

describe("who is disabled", () => {
  it("does not come back by whom it would help", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin"] });
    const anna = keystead.as(user("anna"));
    const first = await anna.tokens.create({ name: "mine", roles: ["admin"] });
    const maker = await keystead.tokens.authenticator.authenticate(first.token);
    if (maker === undefined) throw new Error("it is no token of Keystead");
    const second = await keystead.as(maker).tokens.create({ name: "made by mine" });
    registerSecret(first.token);
    registerSecret(second.token);
    await keystead.policies.create(allow(`token:${second.id}`, ["data.decrypt"]));
    for (const { id } of [second, first]) {
      await keystead.principals.set(`token:${id}`, { disabled: true });
      expect(await codeOf(anna.principals.set(`token:${id}`, { disabled: false })), id).toBe("ACCESS_DENIED");
      expect(await codeOf(anna.principals.remove(`token:${id}`)), id).toBe("ACCESS_DENIED");
      await keystead.principals.remove(`token:${id}`);
    }
    // Without what she may not do it is hers to end and to begin again.
    for (const { id } of await keystead.policies.list()) await keystead.policies.remove(id);
    await anna.principals.set(`token:${second.id}`, { disabled: true });
    expect(await codeOf(anna.principals.remove(`token:${second.id}`))).toBe("no error");
  });
});

const bindings: Readonly<
  Record<
    string,
    readonly [(by: Administration, subject: string) => Promise<unknown>, (by: Administration, subject: string) => Promise<unknown>]
  >
> = {
  "a policy that denies, removed": [ban("deny"), (by, subject) => changePolicy(by, subject, (id) => by.policies.remove(id))],
  "a policy that asks for a second person, removed": [
    ban("approve"),
    (by, subject) => changePolicy(by, subject, (id) => by.policies.remove(id)),
  ],
  "a policy that denies, about another one": [
    ban("deny"),
    (by, subject) => changePolicy(by, subject, (id) => by.policies.set(id, { ...allow("os-user:bob", ["data.*"]), effect: "deny" })),
  ],
  "being disabled, ended": [
    (by, subject) => by.principals.set(subject, { disabled: true }),
    (by, subject) => by.principals.set(subject, { disabled: false }),
  ],
  "being disabled, forgotten": [
    (by, subject) => by.principals.set(subject, { disabled: true }),
    (by, subject) => by.principals.remove(subject),
  ],
  "a role that is denied something, taken away": [
    async (by, subject) => {
      await by.policies.create({ ...allow("role:restricted", ["data.*"]), effect: "deny" });
      await by.principals.set(subject, { roles: ["restricted"] });
    },
    (by, subject) => by.principals.set(subject, { roles: [] }),
  ],
};

function ban(effect: "deny" | "approve") {
  return (by: Administration, subject: string): Promise<unknown> =>
    by.policies.create({ ...allow(subject, [effect === "deny" ? "data.*" : "keys.destroy"]), effect });
}

async function changePolicy(by: Administration, subject: string, change: (id: string) => Promise<unknown>): Promise<unknown> {
  const found = (await by.policies.list()).find((policy) => policy.subject === subject);
  return change(found?.id ?? "");
}

const people = {
  claim: [{ principal: { source: "oidc", id: "main:anna" }, claims: { team: ["a"] } }, "claim:team=a"],
  group: [user("anna", { groups: [7] }), "group:7"],
} as const satisfies Record<string, readonly [Caller, string]>;

describe.each(Object.values(people))("what binds %o by %s", (caller, subject) => {
  it.each(Object.entries(bindings))("is not lifted by that person's token: %s", async (_, [bind, lift]) => {
    // The token may do as much as the person: it is no reason to free the person.
    const roles = ["admin", "key-admin", "decryptor"];
    const { keystead, byToken } = await administratorWho(caller, roles, roles);
    await bind(keystead, subject);
    expect(await codeOf(lift(byToken, subject))).toBe("ACCESS_DENIED");
    expect(await codeOf(lift(keystead, subject))).toBe("no error");
  });

  it("is not lifted by that person's token: a mask that shows less", async () => {
    const { keystead, byToken } = await administratorWho(caller, ["admin"], ["admin"]);
    const name = subjectOf(caller.principal);
    await keystead.policies.create(allow(name, ["data.reveal"], { mask: "***-**-1234" }));
    const stricter = await keystead.policies.create(allow(subject, ["data.reveal"], { mask: "***-**-***4" }));
    expect(await codeOf(byToken.policies.remove(stricter.id))).toBe("ACCESS_DENIED");
  });
});

describe("an administrator whose rights were taken", () => {
  it("does not get them back by a token that has them still", async () => {
    const { keystead, sealed, person, byToken } = await administratorWho(user("anna"), ["admin", "decryptor"], ["admin", "decryptor"]);
    const denied = await keystead.policies.create({ ...allow("os-user:anna", ["data.*"]), effect: "deny" });
    expect(await codeOf(byToken.policies.remove(denied.id))).toBe("ACCESS_DENIED");
    await keystead.policies.remove(denied.id);
    await keystead.principals.set("os-user:anna", { roles: [] });
    expect(await codeOf(byToken.principals.set("os-user:anna", { roles: ["admin", "decryptor"] }))).toBe("ACCESS_DENIED");
    expect(await codeOf(byToken.policies.create(allow("os-user:anna", ["data.decrypt"])))).toBe("ACCESS_DENIED");
    expect(await codeOf(person.decrypt(sealed))).toBe("ACCESS_DENIED");
    // To everybody, and to others, it gives what it has.
    expect(await codeOf(byToken.policies.create(allow("*", ["data.decrypt"])))).toBe("no error");
  });

  it.each(Object.values(people))("has none by name that %o has by %s", async (caller, subject) => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set(subject, { roles: ["admin"] });
    const anna = keystead.as(caller);
    const name = subjectOf(caller.principal);
    expect(await codeOf(anna.principals.set(name, { roles: ["admin"] }))).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.policies.create(allow(name, ["settings.set"])))).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.policies.create(allow("*", ["settings.set"])))).toBe("no error");
    expect(await codeOf(anna.principals.set("os-user:bob", { roles: ["admin"] }))).toBe("no error");
  });
});
