import { describe, expect, it } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import type { Keystead } from "../../../src/keystead.ts";
import { registerSecret } from "../../setup/canary.ts";
import { codeOf, createTestKeystead, type TestKeystead } from "../../support/test-keystead.ts";

const hour = 3_600_000;

function user(id: string): Caller {
  return { principal: { source: "os-user", id } };
}

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
