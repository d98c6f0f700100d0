import { describe, expect, it } from "vitest";
import type { DatasetInput } from "../../../src/index.ts";
import { KeysteadError } from "../../../src/errors.ts";
import type { Keystead } from "../../../src/keystead.ts";
import { registerSecret } from "../../setup/canary.ts";
import { user } from "../../support/access.ts";
import { codeOf, createTestKeystead, type TestKeystead } from "../../support/test-keystead.ts";

const hour = 3_600_000;

/** Anna and Bob administrate keys; destroying one, and changing policies, needs both. */
async function twoPersons(): Promise<TestKeystead> {
  const made = await createTestKeystead({ settings: { destructionWaitingDays: 1 } });
  const { keystead } = made;
  for (const name of ["k", "l"]) {
    await keystead.keys.create({ name, purpose: "pii" });
    await keystead.keys.rotate(name);
  }
  for (const name of ["anna", "bob"]) await keystead.principals.set(`os-user:${name}`, { roles: ["key-admin", "admin"] });
  await keystead.policies.create({ effect: "approve", subject: "*", actions: ["keys.destroy", "policies.*", "principals.set"] });
  return made;
}

/** The approval that a call waits for. */
async function waitsFor(keystead: Keystead, call: () => Promise<unknown>): Promise<string> {
  const known = new Set((await keystead.approvals.list()).map(({ id }) => id));
  expect(await codeOf(call())).toBe("APPROVAL_REQUIRED");
  const [fresh] = (await keystead.approvals.list({ state: "pending" })).filter(({ id }) => !known.has(id));
  return fresh?.id ?? "";
}

type Call = Pick<
  Keystead,
  "keys" | "purposes" | "settings" | "routes" | "keks" | "principals" | "tokens" | "audit" | "datasets" | "jobs" | "backgroundJobs"
>;

const key = { name: "new", purpose: "pii" } as const;
const nowhere = (): void => undefined;

function person(name: string): DatasetInput {
  return { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: name } } };
}

function startErase(column: string): (keystead: Call) => Promise<unknown> {
  return ({ backgroundJobs }) => backgroundJobs.start("d", { kind: "erase-column", column });
}

function startRecontext(row: string): (keystead: Call) => Promise<unknown> {
  return ({ backgroundJobs }) => backgroundJobs.start("d", { kind: "recontext", context: { row } });
}

describe("an act that needs a second person", () => {
  it("waits, is approved by another one, and is done once by the same call", async () => {
    const { keystead } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const destroy = (): Promise<unknown> => anna.keys.destroy("k", 1, { reason: "retired", waitingDays: 3 });
    const id = await waitsFor(keystead, destroy);
    expect(await waitsFor(keystead, destroy)).toBe("");
    expect(await keystead.approvals.show(id)).toMatchObject({
      state: "pending",
      requester: "os-user:anna",
      action: "keys.destroy",
      act: { key: "k", reason: "retired", terms: { waitingDays: 3 } },
    });
    expect(await codeOf(anna.approvals.approve(id))).toBe("ACCESS_DENIED");
    expect(await bob.approvals.approve(id, { reason: "seen" })).toMatchObject({ state: "approved", decidedBy: "os-user:bob" });
    expect(await destroy()).toMatchObject({ status: "scheduled" });
    expect(await keystead.approvals.show(id)).toMatchObject({ state: "used" });
    expect(await codeOf(bob.approvals.approve(id))).toBe("CONFLICT");
    const [record] = await keystead.audit.show({ action: "keys.destroy", limit: 1 });
    expect(record).toMatchObject({ outcome: "allowed", detail: { approval: id, approvedBy: "os-user:bob" } });
  });

  it("is approved for just that act by just that principal", async () => {
    const { keystead } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const id = await waitsFor(keystead, () => anna.keys.destroy("k", 1));
    await bob.approvals.approve(id);
    await waitsFor(keystead, () => bob.keys.destroy("k", 1));
    await waitsFor(keystead, () => anna.keys.destroy("l", 1));
    await waitsFor(keystead, () => anna.keys.destroy("k", 2));
    await waitsFor(keystead, () => anna.keys.destroy("k", 1, { waitingDays: 1 }));
    expect(await anna.keys.destroy("k", 1)).toMatchObject({ status: "scheduled" });
  });

  it("needs nobody again when what was scheduled is executed, and somebody after it was cancelled", async () => {
    const { keystead, clock } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    await bob.approvals.approve(await waitsFor(keystead, () => anna.keys.destroy("k", 1)));
    await anna.keys.destroy("k", 1);
    await anna.keys.cancelDestroy("k", 1);
    await bob.approvals.approve(await waitsFor(keystead, () => anna.keys.destroy("k", 1)));
    await anna.keys.destroy("k", 1);
    clock.advance(31 * 24 * hour);
    expect(await anna.keys.destroy("k", 1)).toMatchObject({ status: "destroyed" });
  });

  it.each<[string, string, (keystead: Call) => Promise<unknown>, (keystead: Call) => Promise<unknown>]>([
    ["keys.create", "an algorithm", (k) => k.keys.create(key), (k) => k.keys.create({ ...key, algorithm: "AES-256-GCM" })],
    ["keys.create", "tags", (k) => k.keys.create(key), (k) => k.keys.create({ ...key, tags: { a: "b" } })],
    ["keys.rotate", "a date", (k) => k.keys.rotate("k"), (k) => k.keys.rotate("k", { expiresAt: new Date("2099-01-01") })],
    ["keys.set", "tags", (k) => k.keys.set("k", { tags: { a: "red" } }), (k) => k.keys.set("k", { tags: { a: "black" } })],
    ["keys.set-alias", "the alias", (k) => k.keys.setAlias("a", "k"), (k) => k.keys.setAlias("b", "k")],
    ["keys.suspend", "the version", (k) => k.keys.suspend("k", 1), (k) => k.keys.suspend("k", 2)],
    ["keys.suspend", "the reason", (k) => k.keys.suspend("k", 1, { reason: "a" }), (k) => k.keys.suspend("k", 1, { reason: "b" })],
    ["purposes.create", "a setting", (k) => k.purposes.create("p"), (k) => k.purposes.create("p", { rotationDays: 1 })],
    ["purposes.set", "a text", (k) => k.purposes.set("pii", { description: "a" }), (k) => k.purposes.set("pii", { description: "b" })],
    ["settings.set", "the value", (k) => k.settings.set("refreshBound", 500), (k) => k.settings.set("refreshBound", 600)],
    ["routes.set", "the KEK", (k) => k.routes.set({}, "local:main"), (k) => k.routes.set({}, "local:other")],
    ["keks.rotate", "the KEK", (k) => k.keks.rotate("local:main", "local:a"), (k) => k.keks.rotate("local:main", "local:b")],
    ["principals.set", "the roles", (k) => k.principals.set("os-user:c", { roles: [] }), (k) => k.principals.set("os-user:c", {})],
    ["principals.remove", "whom", (k) => k.principals.remove("os-user:c"), (k) => k.principals.remove("os-user:d")],
    ["tokens.create", "the scope", (k) => k.tokens.create({ name: "t" }), (k) => k.tokens.create({ name: "t", scope: { keys: ["k"] } })],
    ["tokens.revoke", "which", (k) => k.tokens.revoke("a".repeat(16)), (k) => k.tokens.revoke("b".repeat(16))],
    ["audit.export", "the time", (k) => k.audit.export({}, nowhere), (k) => k.audit.export({ since: new Date(0) }, nowhere)],
    ["audit.query", "the filter", (k) => k.audit.show(), (k) => k.audit.show({ key: "k" })],
    ["datasets.add", "a column", (k) => k.datasets.add("d", person("pii")), (k) => k.datasets.add("d", person("k"))],
    ["datasets.protect", "whether it is a rehearsal", (k) => k.datasets.protect("d", { dryRun: true }), (k) => k.datasets.protect("d")],
    ["datasets.erase-column", "the column", startErase("a"), startErase("b")],
    ["datasets.set-context", "the template", startRecontext("a"), startRecontext("b")],
    ["datasets.drop-generation", "which", (k) => k.datasets.dropGeneration("d", "i", 1), (k) => k.datasets.dropGeneration("d", "i", 2)],
    ["jobs.resume", "which", (k) => k.jobs.resume("d", { job: "a" }), (k) => k.jobs.resume("d", { job: "b" })],
  ])("%s is approved for just the arguments that were shown: %s", async (action, _, wanted, other) => {
    const { keystead } = await twoPersons();
    await keystead.policies.create({ effect: "approve", subject: "*", actions: [action] });
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: [action] });
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const id = await waitsFor(keystead, () => wanted(anna));
    expect(await waitsFor(keystead, () => wanted(anna))).toBe("");
    const shown = JSON.stringify((await keystead.approvals.show(id)).act);
    await bob.approvals.approve(id);
    const second = await waitsFor(keystead, () => other(anna));
    expect(second).not.toBe("");
    expect(JSON.stringify((await keystead.approvals.show(second)).act)).not.toBe(shown);
    expect(await codeOf(wanted(anna))).not.toBe("APPROVAL_REQUIRED");
  });

  it("is not approved through tokens of who asks", async () => {
    const { keystead } = await twoPersons();
    const anna = keystead.as(user("anna"));
    const made = await anna.tokens.create({ name: "helper", roles: ["admin", "key-admin"] });
    registerSecret(made.token);
    const helper = await keystead.tokens.authenticator.authenticate(made.token);
    if (helper === undefined) throw new Error("the token is good");
    const byAnna = await waitsFor(keystead, () => anna.keys.destroy("k", 1));
    expect(await codeOf(keystead.as(helper).approvals.approve(byAnna))).toBe("ACCESS_DENIED");
    const byHelper = await waitsFor(keystead, () => keystead.as(helper).keys.destroy("k", 1));
    expect(await codeOf(anna.approvals.approve(byHelper))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.as(user("bob")).approvals.approve(byHelper))).toBe("no error");
  });

  it("is not approved through another token of the same maker, and is told whose they are", async () => {
    const { keystead } = await twoPersons();
    const anna = keystead.as(user("anna"));
    const tokens = [];
    for (const name of ["one", "two"]) {
      const { token } = await anna.tokens.create({ name, roles: ["admin", "key-admin"] });
      registerSecret(token);
      const caller = await keystead.tokens.authenticator.authenticate(token);
      if (caller !== undefined) tokens.push(keystead.as(caller));
    }
    const [one = anna, two = anna] = tokens;
    const asked = await waitsFor(keystead, () => one.keys.destroy("k", 1));
    await expect(two.approvals.approve(asked)).rejects.toMatchObject({
      code: "ACCESS_DENIED",
      message: "who asked can't be the second person, nor can any token that os-user:anna made; another person has to approve",
    });
  });

  it.each([
    ["was disabled", (keystead: Keystead) => keystead.principals.set("os-user:bob", { disabled: true })],
    ["has a token that was revoked", (keystead: Keystead, token: string) => keystead.tokens.revoke(token)],
  ])("waits again when who approved %s since", async (what, distrust) => {
    const { keystead } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const { id, token } = await bob.tokens.create({ name: "his", roles: ["key-admin", "admin"] });
    registerSecret(token);
    const his = await keystead.tokens.authenticator.authenticate(token);
    if (his === undefined) throw new Error("the token is good");
    const asked = await waitsFor(keystead, () => anna.keys.destroy("k", 1));
    await (what === "was disabled" ? bob : keystead.as(his)).approvals.approve(asked);
    await distrust(keystead, id);
    expect(await codeOf(anna.keys.destroy("k", 1))).toBe("APPROVAL_REQUIRED");
    const { decidedBy, ...shown } = await keystead.approvals.show(asked);
    expect([shown.state, decidedBy]).toEqual(["pending", undefined]);
    await keystead.principals.set("os-user:carol", { roles: ["key-admin", "admin"] });
    await keystead.as(user("carol")).approvals.approve(asked);
    expect(await codeOf(anna.keys.destroy("k", 1))).toBe("no error");
  });

  it("holds for a policy or a principal as it was when it was asked for, and shows that", async () => {
    const { keystead } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const harmless = { effect: "deny", subject: "os-user:carol", actions: ["data.hash"] } as const;
    const { id } = await keystead.policies.create(harmless);
    for (const call of [() => anna.policies.remove(id), () => anna.policies.set(id, { ...harmless, subject: "os-user:dora" })]) {
      const asked = await waitsFor(keystead, call);
      expect(await keystead.approvals.show(asked)).toMatchObject({ act: { terms: { before: { id, subject: "os-user:carol" } } } });
      await bob.approvals.approve(asked);
      await keystead.policies.set(id, { ...harmless, subject: "group:7", actions: ["*"] });
      expect(await codeOf(call())).toBe("APPROVAL_REQUIRED");
      await keystead.policies.set(id, harmless);
    }
    await keystead.principals.set("os-user:carol", { roles: ["encryptor"] });
    const give = (): Promise<unknown> => anna.principals.set("os-user:carol", { disabled: false });
    await bob.approvals.approve(await waitsFor(keystead, give));
    await keystead.principals.set("os-user:carol", { roles: ["admin"], disabled: true });
    expect(await codeOf(give())).toBe("APPROVAL_REQUIRED");
  });

  it("is approved of by who may for its dataset and purpose", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.principals.set("os-user:anna", { roles: ["admin", "key-admin"] });
    await keystead.principals.set("os-user:bob", { roles: ["admin", "key-admin"] });
    await keystead.policies.create({ effect: "approve", subject: "os-user:anna", actions: ["purposes.create", "datasets.census"] });
    await keystead.policies.create({ effect: "deny", subject: "os-user:bob", actions: ["approvals.approve"], purposes: ["health"] });
    await keystead.policies.create({ effect: "deny", subject: "os-user:bob", actions: ["approvals.approve"], datasets: ["crm.person"] });
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const health = await waitsFor(keystead, () => anna.purposes.create("health"));
    expect(await codeOf(bob.approvals.approve(health))).toBe("ACCESS_DENIED");
    const other = await waitsFor(keystead, () => anna.purposes.create("other"));
    expect(await codeOf(bob.approvals.approve(other))).toBe("no error");
    const census = await waitsFor(keystead, () => anna.datasets.takeCensus("crm.person"));
    expect(await codeOf(bob.approvals.approve(census))).toBe("ACCESS_DENIED");
  });

  it("is not done twice by one approval when nobody knows whether it was done", async () => {
    const { keystead } = await twoPersons();
    const { principal } = user("anna");
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: ["payroll.*"] });
    await keystead.policies.create({ effect: "approve", subject: "os-user:anna", actions: ["payroll.*"] });
    const failures = [new Error("the printer is on fire"), new KeysteadError("CONFLICT", "not now")];
    const pay = (): Promise<unknown> =>
      keystead.requireAccess(principal, "payroll.pay", {}, () => {
        throw failures[0] ?? new Error("none is left");
      });
    for (const state of ["used", "approved"]) {
      const asked = await waitsFor(keystead, pay);
      await keystead.as(user("bob")).approvals.approve(asked);
      await expect(pay()).rejects.toBe(failures[0]);
      expect((await keystead.approvals.show(asked)).state).toBe(state);
      failures.shift();
    }
  });

  it("expires, is rejected, and survives a failure", async () => {
    const { keystead, clock } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const late = await waitsFor(keystead, () => anna.keys.destroy("k", 1));
    clock.advance(24 * hour);
    expect(await codeOf(bob.approvals.approve(late))).toBe("CONFLICT");
    const again = await waitsFor(keystead, () => anna.keys.destroy("k", 1));
    await bob.approvals.reject(again, { reason: "no" });
    expect(await codeOf(anna.keys.destroy("k", 1))).toBe("ACCESS_DENIED");
    const current = await waitsFor(keystead, () => anna.keys.destroy("l", 2));
    await bob.approvals.approve(current);
    expect(await codeOf(anna.keys.destroy("l", 2))).toBe("VERSION_IN_USE");
    expect(await keystead.approvals.show(current)).toMatchObject({ state: "approved" });
  });

  it("covers changes of policies, so that no administrator alone widens anything", async () => {
    const { keystead } = await twoPersons();
    const [anna, bob] = [keystead.as(user("anna")), keystead.as(user("bob"))];
    const input = { effect: "allow", subject: "os-user:carol", actions: ["data.decrypt"] } as const;
    const id = await waitsFor(keystead, () => anna.policies.create(input));
    expect(await keystead.approvals.show(id)).toMatchObject({ act: { terms: input } });
    await bob.approvals.approve(id);
    expect(await anna.policies.create(input)).toMatchObject(input);
    await waitsFor(keystead, () => anna.principals.set("os-user:carol", { roles: ["decryptor"] }));
    const [first] = await keystead.policies.list();
    await waitsFor(keystead, () => anna.policies.remove(first?.id ?? ""));
  });
});
