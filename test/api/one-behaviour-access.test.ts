import { expect, it } from "vitest";
import { entityTag } from "../../src/keys/entity-tag.ts";
import { registerSecret } from "../setup/canary.ts";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";

everywhere("access", (openPlace) => {
  it("keeps policies, and explains them", async () => {
    const { api } = await openPlace();
    const others = await api.policies.list();
    const input = { effect: "allow", subject: "role:payroll", actions: ["data.encrypt"], notAfter: "2099-01-01T00:00:00.000Z" } as const;
    const made = await api.policies.create(input);
    expect(await api.policies.list()).toEqual([...others, made]);
    expect(await api.policies.show(made.id)).toEqual(made);
    const changed = await api.policies.set(made.id, { ...input, keys: ["payroll/**"] }, { ifMatch: entityTag(made) });
    expect(changed).toMatchObject({ id: made.id, keys: ["payroll/**"] });
    expect(await codeOf(api.policies.set(made.id, input, { ifMatch: entityTag(made) }))).toBe("PRECONDITION_FAILED");
    expect(await codeOf(api.policies.set("aaaaaaaaaaaaaaaa", input, { ifMatch: "*" }))).toBe("UNKNOWN_POLICY");
    const roles = await api.policies.roles();
    expect(roles.find(({ name }) => name === "payroll")).toMatchObject({ builtIn: false, actions: [], policies: [made.id] });
    expect(roles.find(({ name }) => name === "encryptor")).toMatchObject({ builtIn: true, policies: [] });
    const question = { key: "payroll/iban", also: ["role:payroll"] };
    expect(await api.policies.explain("oidc:main:x", "data.encrypt", question)).toMatchObject({ outcome: "allow", policy: made.id });
    expect(await codeOf(api.policies.explain("nobody", "data.encrypt"))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.policies.remove(made.id, { ifMatch: entityTag(made) }))).toBe("PRECONDITION_FAILED");
    await api.policies.remove(made.id, { ifMatch: entityTag(changed) });
    expect(await api.policies.list()).toEqual(others);
    expect(await codeOf(api.policies.show(made.id))).toBe("UNKNOWN_POLICY");
    const again = await api.policies.create(input);
    await api.policies.set(again.id, input, { ifMatch: "*" });
    await api.policies.remove(again.id, { ifMatch: "*" });
    expect(await api.policies.list()).toEqual(others);
  });

  it("explains masks, and keeps them", async () => {
    const { api } = await openPlace();
    const input = { effect: "allow", subject: "role:clerk", actions: ["data.reveal"], mask: "***-{last:4}" } as const;
    const { id } = await api.policies.create(input);
    expect(await api.policies.show(id)).toMatchObject(input);
    expect(await api.policies.explain("role:clerk", "data.reveal")).toMatchObject({
      outcome: "masked",
      policy: id,
      masked: { policy: id, mask: "***-{last:4}" },
      considered: [{ policy: id, applies: true, mask: "***-{last:4}" }],
    });
    for (const wrong of [
      { mask: "{last:40}" },
      { actions: ["data.*"] },
      { actions: ["data.reveal", "data.decrypt"] },
      { effect: "deny" as const },
    ])
      expect(await codeOf(api.policies.create({ ...input, ...wrong }))).toBe("INVALID_ARGUMENT");
  });

  it("gives roles to principals, and takes them", async () => {
    const { api } = await openPlace();
    const claim = "claim:realm_access.roles=a/b c";
    const set = await api.principals.set(claim, { roles: ["auditor"], description: "ü" });
    expect(set).toMatchObject({ subject: claim, roles: ["auditor"], disabled: false, description: "ü" });
    expect(await api.principals.show(claim)).toEqual(set);
    expect(await api.principals.list()).toEqual([set]);
    const disabled = await api.principals.set(claim, { disabled: true }, { ifMatch: entityTag(set) });
    expect(disabled).toMatchObject({ roles: ["auditor"], disabled: true });
    expect(await codeOf(api.principals.set(claim, { disabled: false }, { ifMatch: entityTag(set) }))).toBe("PRECONDITION_FAILED");
    expect(await codeOf(api.principals.set(claim, { roles: ["nothing"] }))).toBe("UNKNOWN_ROLE");
    expect(await codeOf(api.principals.set("role:admin", { roles: ["auditor"] }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.principals.remove(claim, { ifMatch: entityTag(set) }))).toBe("PRECONDITION_FAILED");
    await api.principals.remove(claim, { ifMatch: entityTag(disabled) });
    expect(await api.principals.list()).toEqual([]);
    expect(await codeOf(api.principals.show(claim))).toBe("UNKNOWN_PRINCIPAL");
    for (const ifMatch of ["*", entityTag(set)])
      expect(await codeOf(api.principals.set(claim, { roles: ["auditor"] }, { ifMatch }))).toBe("PRECONDITION_FAILED");
    expect(await api.principals.list()).toEqual([]);
    await api.principals.set(claim, { roles: ["auditor"] });
    expect(await api.principals.set(claim, { roles: [] }, { ifMatch: "*" })).toMatchObject({ roles: [] });
    await api.principals.remove(claim, { ifMatch: "*" });
    expect(await codeOf(api.principals.remove(claim, { ifMatch: "*" }))).toBe("UNKNOWN_PRINCIPAL");
  });

  it("makes tokens that may do no more than who makes them, and ends them", async () => {
    const { api, person } = await openPlace();
    const anna = await person("anna");
    const others = await anna.tokens.list();
    const { token, ...info } = await api.tokens.create({ name: "import", roles: ["encryptor"], scope: { keys: ["acme/*"] } });
    registerSecret(token);
    expect(info).toMatchObject({ name: "import", roles: ["encryptor"], scope: { keys: ["acme/*"] }, state: "good" });
    expect(await api.tokens.list()).toEqual([info, ...others]);
    expect(await codeOf(anna.tokens.create({ name: "more", roles: ["decryptor"] }))).toBe("ACCESS_DENIED");
    for (const wrong of [{ name: "" }, { name: "x", expiresAt: new Date(Number.NaN) }, { name: "x", expiresAt: new Date(0) }])
      expect(await codeOf(api.tokens.create(wrong))).toBe("INVALID_ARGUMENT");
    const revoked = await api.tokens.revoke(info.id);
    expect(revoked).toMatchObject({ id: info.id, state: "revoked" });
    expect((await api.tokens.list())[0]).toEqual(revoked);
    expect(await codeOf(api.tokens.revoke("aaaaaaaaaaaaaaaa"))).toBe("UNKNOWN_TOKEN");
  });

  it("lets a second person decide, once", async () => {
    const { api, person } = await openPlace();
    const anna = await person("anna");
    const berta = await person("berta");
    const { id: policy } = await api.policies.create({ effect: "approve", subject: "*", actions: ["settings.set"] });
    const change = (): Promise<unknown> => anna.settings.set("refreshBound", 500);
    expect(await codeOf(change())).toBe("APPROVAL_REQUIRED");
    const [waiting, ...others] = await berta.approvals.list({ state: "pending" });
    expect(others).toEqual([]);
    expect(waiting).toMatchObject({ state: "pending", person: "oidc:main:anna", action: "settings.set", policy });
    const id = waiting?.id ?? "";
    expect(await api.approvals.show(id)).toEqual(waiting);
    expect(await codeOf(anna.approvals.approve(id))).toBe("ACCESS_DENIED");
    expect(await berta.approvals.approve(id, { reason: "agreed" })).toMatchObject({ id, state: "approved", decisionReason: "agreed" });
    expect(await codeOf(berta.approvals.approve(id))).toBe("CONFLICT");
    expect(await change()).toMatchObject({ refreshBound: 500 });
    expect(await api.approvals.show(id)).toMatchObject({ state: "used" });
    expect(await codeOf(api.approvals.show("aaaaaaaaaaaaaaaa"))).toBe("UNKNOWN_APPROVAL");
  });

  it("refuses what a second person rejected", async () => {
    const { api, person } = await openPlace();
    const anna = await person("anna");
    const berta = await person("berta");
    await api.policies.create({ effect: "approve", subject: "*", actions: ["settings.set"] });
    const change = (): Promise<unknown> => anna.settings.set("refreshBound", 500);
    expect(await codeOf(change())).toBe("APPROVAL_REQUIRED");
    const [{ id } = { id: "" }] = await berta.approvals.list();
    const rejected = await berta.approvals.reject(id, { reason: "no need" });
    expect(rejected).toMatchObject({ id, state: "rejected", decisionReason: "no need" });
    expect(await berta.approvals.list({ state: "rejected" })).toEqual([rejected]);
    expect(await berta.approvals.list({ state: "pending" })).toEqual([]);
    expect(await codeOf(berta.approvals.reject(id))).toBe("CONFLICT");
    expect(await codeOf(change())).toBe("ACCESS_DENIED");
    expect((await api.settings.list()).refreshBound).toBe(50);
  });

  it("tells everybody who it is", async () => {
    const { person, engine } = await openPlace();
    const anna = await person("anna");
    const { principal, roles, scope } = await anna.whoami();
    expect(principal).toMatch(/^(?:oidc:main:anna$|token:)/);
    expect({ roles, scope }).toEqual({ roles: ["admin"], scope: {} });
    await engine.policies.create({ effect: "deny", subject: "role:admin", actions: ["access.*"] });
    expect(await codeOf(anna.whoami())).toBe("ACCESS_DENIED");
  });
});
