import { renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { initKeystead, openKeystead } from "../../../src/keystead.ts";
import { entityTag } from "../../../src/keys/entity-tag.ts";
import { registerSecret } from "../../setup/canary.ts";
import { allow, user } from "../../support/access.ts";
import { codeOf, createTestKeystead, fileStore, temporaryFolder } from "../../support/test-keystead.ts";

describe("policies", () => {
  it("allow nothing any more when the store was not read for a minute, and again once it is", async () => {
    const folder = temporaryFolder();
    const { keystead, clock } = await createTestKeystead(fileStore(folder));
    await keystead.policies.create(allow("os-user:anna", ["data.hash"]));
    const anna = keystead.as(user("anna"));
    // It needs nothing of the store but the right to it.
    const hash = (): Promise<string> => codeOf(anna.hash("x"));
    expect(await hash()).toBe("no error");
    const [file, away] = [join(folder, "keystead.db"), join(folder, "away.db")];
    renameSync(file, away);
    clock.advance(60_000);
    expect(await hash()).toBe("no error");
    clock.advance(1);
    expect(await hash()).toMatch(/^STORE_/);
    renameSync(away, file);
    expect(await hash()).toBe("no error");
  });

  it("decide about named callers, and about the process itself when it asks for that", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "acme/k", purpose: "pii" });
    const anna = keystead.as(user("anna"));
    expect(await codeOf(anna.encrypt("acme/k", "x"))).toBe("ACCESS_DENIED");
    const policy = await keystead.policies.create(allow("group:1000", ["data.encrypt"], { purposes: ["pii"], keys: ["acme/*"] }));
    expect(await codeOf(keystead.as(user("anna", { groups: [4, 1000] })).encrypt("acme/k", "x"))).toBe("no error");
    expect(await codeOf(anna.encrypt("acme/k", "x"))).toBe("ACCESS_DENIED");
    await keystead.policies.remove(policy.id);
    expect(await codeOf(keystead.as(user("anna", { groups: [1000] })).encrypt("acme/k", "x"))).toBe("ACCESS_DENIED");
    const { keystead: strict } = await createTestKeystead({ access: "policies" });
    expect(await codeOf(strict.keys.list())).toBe("ACCESS_DENIED");
    expect(await codeOf(strict.policies.create(allow("*", ["*"])))).toBe("ACCESS_DENIED");
  });

  it("go by the purpose of a key, whoever asks about the key", async () => {
    const { keystead } = await createTestKeystead();
    for (const [name, purpose] of [
      ["k", "pii"],
      ["l", "api"],
    ] as const)
      await keystead.keys.create({ name, purpose });
    await keystead.policies.create(allow("os-user:anna", ["keys.show"]));
    await keystead.policies.create({ ...allow("os-user:anna", ["*"], { purposes: ["pii"] }), effect: "deny" });
    const anna = keystead.as(user("anna"));
    await keystead.keys.setAlias("alias of k", "k");
    const codes = await Promise.all(["k", "alias of k", "l", "none"].map((name) => codeOf(anna.keys.show(name))));
    expect(codes).toEqual(["ACCESS_DENIED", "ACCESS_DENIED", "no error", "UNKNOWN_KEY"]);
  });

  it("are changed only as they were read", async () => {
    const { keystead } = await createTestKeystead();
    const policy = await keystead.policies.create(allow("os-user:anna", ["keys.list"]));
    const changed = await keystead.policies.set(policy.id, allow("os-user:anna", ["keys.show"]), { ifMatch: entityTag(policy) });
    expect(changed).toMatchObject({ id: policy.id, actions: ["keys.show"] });
    expect(await codeOf(keystead.policies.remove(policy.id, { ifMatch: entityTag(policy) }))).toBe("PRECONDITION_FAILED");
    expect(await codeOf(keystead.policies.show("aaaaaaaaaaaaaaaa"))).toBe("UNKNOWN_POLICY");
    expect(await codeOf(keystead.principals.show("os-user:anna"))).toBe("UNKNOWN_PRINCIPAL");
    expect(await codeOf(keystead.principals.set("role:x", { roles: [] }))).toBe("INVALID_ARGUMENT");
  });

  it("are explained in words and as data", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "acme/k", purpose: "pii" });
    await keystead.principals.set("os-user:anna", { roles: ["encryptor", "decryptor"] });
    const deny = await keystead.policies.create({ ...allow("os-user:anna", ["data.decrypt"], { keys: ["acme/*"] }), effect: "deny" });
    const { policies } = keystead;
    expect(await policies.explain("os-user:anna", "data.decrypt", { key: "acme/k" })).toEqual({
      outcome: "deny",
      policy: deny.id,
      reason: `policy ${deny.id} denies it`,
      subjects: ["*", "os-user:anna", "role:decryptor", "role:encryptor"],
      considered: [
        { policy: deny.id, effect: "deny", subject: "os-user:anna", applies: true },
        { policy: "role:decryptor", effect: "allow", subject: "role:decryptor", applies: true },
      ].sort((a, b) => (a.policy < b.policy ? -1 : 1)),
    });
    expect(await policies.explain("os-user:anna", "data.encrypt", { key: "acme/k" })).toMatchObject({ reason: "role encryptor allows it" });
    const missing = "no key has this name, so that its purpose is not known";
    expect(await policies.explain("os-user:anna", "data.encrypt", { key: "acme/kk" })).toMatchObject({ outcome: "allow", missing });
    expect(await policies.explain("role:auditor", "keys.list")).toMatchObject({ outcome: "allow", policy: "role:auditor" });
    expect(await policies.explain("os-user:bob", "keys.list", { also: ["role:auditor"] })).toMatchObject({ outcome: "allow" });
    expect(await policies.explain("os-user:bob", "keys.list")).toMatchObject({ outcome: "deny", reason: "no policy allows it" });
    expect(await codeOf(policies.explain("bob", "keys.list"))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(policies.explain("os-user:bob", "keys.lst"))).toBe("INVALID_ARGUMENT");
  });

  it("are explained of a token as it is by now", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin", "decryptor"] });
    const { id, token } = await keystead.as(user("anna")).tokens.create({ name: "hers", roles: ["decryptor"] });
    registerSecret(token);
    const explained = async (of = id): Promise<readonly string[]> => {
      const { outcome, reason } = await keystead.policies.explain(`token:${of}`, "data.decrypt", { key: "k" });
      return [outcome, reason];
    };
    expect(await explained()).toEqual(["allow", "role decryptor allows it"]);
    await keystead.principals.set("os-user:anna", { disabled: true });
    expect(await explained()).toEqual(["deny", "the token is of somebody who is disabled"]);
    await keystead.principals.set("os-user:anna", { disabled: false });
    await keystead.tokens.revoke(id);
    expect(await explained()).toEqual(["deny", "the token is revoked"]);
    expect(await explained("nobody")).toEqual(["deny", "the token is unknown"]);
  });

  it("are told in the records of their changes", async () => {
    const { keystead } = await createTestKeystead();
    const { id } = await keystead.policies.create(allow("role:clerk", ["data.encrypt", "data.index"], { keys: ["a/*"] }));
    const many = Array.from({ length: 30 }, (_, number) => `key-of-a-customer-with-a-long-name/${String(number)}`);
    await keystead.policies.set(id, allow("role:clerk", ["data.encrypt"], { keys: many }));
    const [created, changed] = await keystead.audit.show({ action: "policies" });
    expect(created?.["detail"]).toEqual({
      ...{ effect: "allow", subject: "role:clerk", policy: id },
      ...{ actions: "data.encrypt,data.index", scope: '{"keys":["a/*"]}' },
    });
    expect(changed).toMatchObject({ detail: { policy: id, actions: "data.encrypt" } });
    expect(JSON.stringify(changed)).toMatch(/"scope":"sha256:[0-9a-f]{64}"/);
  });

  it("are not read when somebody edited them", async () => {
    const options = fileStore(temporaryFolder());
    const keystead = await initKeystead(options);
    await keystead.policies.create({ ...allow("os-user:anna", ["data.*"]), effect: "deny" });
    await keystead.policies.create(allow("os-user:anna", ["keys.list"]));
    expect(await codeOf(keystead.as(user("anna")).keys.list())).toBe("no error");
    const database = new DatabaseSync(options.store.slice("sqlite:".length));
    database.exec("update policies set effect = 'allow'");
    await keystead.settings.set("backupRetentionDays", 1);
    expect(await codeOf(async () => await keystead.policies.list())).toBe("STORE_TAMPERED");
    expect(await codeOf(keystead.as(user("bob")).policies.list())).toMatch(/ACCESS_DENIED|STORE_TAMPERED/);
    database.close();
    await keystead.close();
    expect(await codeOf(openKeystead(options))).toBe("STORE_TAMPERED");
  });
});

describe("reads", () => {
  it("leave one record when they are served or denied, and none otherwise", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.principals.set("os-user:anna", { roles: ["auditor"] });
    const before = (await keystead.audit.show({ limit: 1000 })).length;
    const anna = keystead.as(user("anna"));
    await anna.keys.show("k");
    await anna.audit.signers();
    expect(await keystead.audit.show({ limit: 1000 })).toHaveLength(before);
    const served = keystead.as(user("anna", { request: { id: "r1" } }));
    for (const read of [
      () => served.keys.list(),
      () => served.keys.show("k"),
      () => served.keys.usage("k", 1),
      () => served.purposes.list(),
      () => served.routes.list(),
      () => served.keks.list(),
      () => served.settings.list(),
      () => served.datasets.list(),
      () => served.jobs.list(),
      () => served.audit.verify(),
      () => served.policies.list(),
      () => served.policies.roles(),
      () => served.principals.list(),
      () => served.tokens.list(),
      () => served.approvals.list(),
      () => served.policies.explain("os-user:anna", "keys.list"),
    ])
      await read();
    expect(await codeOf(keystead.as(user("bob")).keys.show("k"))).toBe("ACCESS_DENIED");
    const records = (await keystead.audit.show({ limit: 1000 })).slice(before);
    const told = records.map(({ action, outcome, key, request }) =>
      [action, outcome, key ?? "-", request === undefined ? "-" : "served"].map(String).join(" "),
    );
    expect(told).toEqual([
      "keys.list allowed - served",
      "keys.show allowed k served",
      "keys.usage allowed k served",
      ...["purposes", "routes", "keks", "settings", "datasets", "jobs"].map((noun) => `${noun}.list allowed - served`),
      "audit.verify allowed - served",
      ...["policies", "policies", "principals", "tokens", "approvals"].map((noun) => `${noun}.list allowed - served`),
      "policies.explain allowed - served",
      "keys.show denied k -",
    ]);
  });
});

describe("requireAccess", () => {
  it("guards and records any function", async () => {
    const { keystead } = await createTestKeystead();
    const { principal } = user("anna");
    const print = (): Promise<string> =>
      keystead.requireAccess(principal, "payroll.print", { purpose: "payroll", context: { month: "5" } }, () => "printed");
    expect(await codeOf(print())).toBe("ACCESS_DENIED");
    await keystead.policies.create(allow("os-user:anna", ["payroll.*"], { context: { month: ["5"] } }));
    expect(await print()).toBe("printed");
    expect(await codeOf(keystead.requireAccess(principal, "data.decrpt", {}, () => 1))).toBe("INVALID_ARGUMENT");
    for (const nowhere of [{ key: "" }, { purpose: "" }, { dataset: "" }])
      expect(await codeOf(keystead.requireAccess(principal, "payroll.print", nowhere, () => 1))).toBe("INVALID_ARGUMENT");
    expect(await keystead.audit.show({ action: "payroll" })).toMatchObject([
      { outcome: "denied", principal, purpose: "payroll", context: { month: "5" } },
      { outcome: "allowed", principal },
      { outcome: "failed", code: "INVALID_ARGUMENT" },
    ]);
  });

  it("is bound by what is denied in a context that the program does not tell", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.policies.create(allow("os-user:anna", ["payroll.*"]));
    await keystead.policies.create({ ...allow("os-user:anna", ["payroll.*"], { context: { tenant: ["b"] } }), effect: "deny" });
    const print = (context?: Record<string, string>): Promise<string> =>
      codeOf(keystead.requireAccess(user("anna"), "payroll.print", context === undefined ? {} : { context }, () => "printed"));
    expect([await print(), await print({ tenant: "b" }), await print({ tenant: "a" })]).toEqual([
      "ACCESS_DENIED",
      "ACCESS_DENIED",
      "no error",
    ]);
  });
});
