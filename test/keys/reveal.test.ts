import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import type { Caller } from "../../src/access/caller.ts";
import type { PolicyInput } from "../../src/access/policy.ts";
import type { Keystead } from "../../src/keystead.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

const ssn = { table: "person", column: "ssn" };
const email = { table: "person", column: "email" };
const reason = "ticket 4711";
const number = "078-05-1120";

function user(id: string, more: Partial<Caller> = {}): Caller {
  return { principal: { source: "os-user", id }, ...more };
}

const allow = (subject: string, more: Partial<PolicyInput> = {}): PolicyInput => ({
  effect: "allow",
  subject,
  actions: ["data.reveal"],
  ...more,
});

interface Fields {
  readonly keystead: Keystead;
  readonly sealed: string;
}

/** One field of the table `person`, and policies. */
async function withPolicies(...policies: readonly PolicyInput[]): Promise<Fields> {
  const { keystead } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  for (const policy of policies) await keystead.policies.create(policy);
  return { keystead, sealed: await keystead.encrypt("k", number, { context: ssn }) };
}

/** What somebody is shown: text, or the code of the refusal. */
async function shownTo(caller: Caller, { keystead, sealed }: Fields, why?: string): Promise<string> {
  let text = "";
  const options = { context: ssn, ...(why !== undefined && { reason: why }) };
  const code = await codeOf(
    keystead
      .as(caller)
      .reveal(sealed, options)
      .then((shown) => (text = shown.text)),
  );
  return code === "no error" ? text : code;
}

describe("a field is shown", () => {
  const clerk = allow("os-user:anna", { context: { column: ["ssn"] }, mask: "***-**-{last:4}" });
  const officer = allow("os-user:anna", { keys: ["k"] });

  it.each<[string, readonly PolicyInput[], string, string]>([
    ["to nobody whom no policy lets", [], "ACCESS_DENIED", "ACCESS_DENIED"],
    ["masked to whom a mask is given, reason or not", [clerk], "***-**-1120", "***-**-1120"],
    ["plain for a reason alone", [officer], "REASON_REQUIRED", number],
    ["masked without a reason and plain with one to whom both are given", [clerk, officer], "***-**-1120", number],
    ["by the mask that shows least", [clerk, allow("*", { mask: "{first:1}" }), allow("*", { mask: "{last:2}" })], "0", "0"],
    ["by the smallest mask, whatever else is plain", [clerk, allow("*", { mask: "***" }), officer], "***", number],
    ["to nobody who is denied", [clerk, officer, { ...allow("*", { keys: ["k"] }), effect: "deny" }], "ACCESS_DENIED", "ACCESS_DENIED"],
    ["of another column to nobody", [{ ...clerk, context: { column: ["email"] } }], "ACCESS_DENIED", "ACCESS_DENIED"],
    ["of another key to nobody", [{ ...clerk, keys: ["l"] }], "ACCESS_DENIED", "ACCESS_DENIED"],
    ["to nobody at another time", [{ ...clerk, notAfter: "2001-01-01T00:00:00Z" }], "ACCESS_DENIED", "ACCESS_DENIED"],
  ])("%s", async (_, policies, without, withReason) => {
    const fields = await withPolicies(...policies);
    expect([await shownTo(user("anna"), fields), await shownTo(user("anna"), fields, reason)]).toEqual([without, withReason]);
  });

  it("and nothing else may be done by a right to its masked form", async () => {
    const { keystead, sealed } = await withPolicies(clerk);
    const anna = keystead.as(user("anna"));
    const options = { context: ssn };
    expect(await codeOf(anna.decrypt(sealed, options))).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.rewrap(sealed, options))).toBe("ACCESS_DENIED");
    const { principal } = user("anna");
    expect(await codeOf(keystead.requireAccess(principal, "data.reveal", { key: "k", context: ssn }, () => "x"))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.requireAccess(principal, "data.reveal", { key: "k", context: email }, () => "x"))).toBe("ACCESS_DENIED");
  });

  it("within what a credential is for", async () => {
    const fields = await withPolicies(clerk);
    expect(await shownTo(user("anna", { scope: { actions: ["data.decrypt"] } }), fields)).toBe("ACCESS_DENIED");
    expect(await shownTo(user("anna", { scope: { keys: ["l"] } }), fields)).toBe("ACCESS_DENIED");
    expect(await shownTo(user("anna", { scope: { keys: ["k"], actions: ["data.reveal"] } }), fields)).toBe("***-**-1120");
  });

  it("by its own access control, whatever that knows of masks", async () => {
    const plain: AccessControl = { authorize: () => undefined };
    const { keystead } = await createTestKeystead({ access: { ...plain, authorizeReveal: () => ({ plain: false, mask: "{last:2}" }) } });
    const { keystead: simple } = await createTestKeystead({ access: plain });
    const { keystead: none } = await createTestKeystead({ access: { ...plain, authorizeReveal: () => ({ plain: false }) } });
    const found: string[] = [];
    for (const each of [keystead, simple, none]) {
      await each.keys.create({ name: "k", purpose: "pii" });
      found.push(await shownTo(user("anna"), { keystead: each, sealed: await each.encrypt("k", number, { context: ssn }) }, reason));
    }
    expect(found).toEqual(["20", number, "ACCESS_DENIED"]);
  });

  it("of a purpose and of a key that was not looked up yet, as one policy says", async () => {
    const fields = await withPolicies(allow("os-user:anna", { purposes: ["pii"], mask: "*{last:1}" }));
    expect(await shownTo(user("anna"), fields)).toBe("*0");
    const unknown = fields.sealed.replace("ks1:k:", "ks1:unknown:");
    expect(await codeOf(fields.keystead.as(user("anna")).reveal(unknown))).toBe("ACCESS_DENIED");
    await fields.keystead.policies.create(allow("os-user:anna", { mask: "*" }));
    expect(await codeOf(fields.keystead.as(user("anna")).reveal(unknown))).toBe("UNKNOWN_KEY");
  });
});

describe("what was shown", () => {
  it("leaves one record each, with the reason and never with the value, whoever asked", async () => {
    const { keystead, sealed } = await withPolicies(
      allow("os-user:anna", { mask: "***-**-{last:4}", context: { column: ["ssn"] } }),
      allow("os-user:bob"),
    );
    const label = (await keystead.keys.show("k")).versions[0]?.label;
    const served = { request: { id: "r1" } };
    const call = keystead.as(user("anna", served));
    await call.reveal(sealed, { context: ssn, reason });
    expect(call.records).toBe(1);
    await keystead.as(user("bob")).reveal(sealed, { context: ssn, reason });
    await keystead.reveal(sealed, { context: ssn, reason });
    expect(await codeOf(keystead.as(user("bob", served)).reveal(sealed, { context: ssn }))).toBe("REASON_REQUIRED");
    expect(await codeOf(keystead.as(user("eve")).reveal(sealed, { context: ssn, reason }))).toBe("ACCESS_DENIED");
    const bound = { action: "data.reveal", key: "k", context: ssn };
    const records = await keystead.audit.show({ action: "data.reveal" });
    expect(records).toMatchObject([
      { ...bound, outcome: "allowed", version: label, reason, detail: { shown: "masked", mask: "***-**-{last:4}" }, ...served },
      { ...bound, outcome: "allowed", version: label, reason, detail: { shown: "plain" }, principal: { id: "bob" } },
      { ...bound, outcome: "allowed", version: label, reason, detail: { shown: "plain" }, principal: { source: "embedded" } },
      { ...bound, outcome: "failed", code: "REASON_REQUIRED", ...served },
      { ...bound, outcome: "denied", code: "ACCESS_DENIED", reason, principal: { id: "eve" } },
    ]);
    expect(records[3]).not.toHaveProperty("reason");
    // What comes by chance is left out: parts of the number may stand in it.
    const told = records.map((record) => ({ ...record, id: "", previous: "", writer: "", store: "", process: 0, version: "" }));
    expect(JSON.stringify(told)).not.toMatch(/1120|078/);
  });

  it("in a batch is told for each context: what was plain and what was masked", async () => {
    const { keystead, sealed } = await withPolicies(
      allow("os-user:anna", { mask: "***-**-{last:4}", context: { column: ["ssn"] } }),
      allow("os-user:anna", { context: { column: ["email"] } }),
    );
    const mail = await keystead.encrypt("k", "anna@example.org", { context: email });
    const other = await keystead.encrypt("k", "x", { context: { column: "other" } });
    const items = [
      { ciphertext: sealed, context: ssn },
      { ciphertext: mail, context: email },
      { ciphertext: other, context: { column: "other" } },
      { ciphertext: "x" },
    ];
    const told = (results: Awaited<ReturnType<Keystead["revealMany"]>>): string[] =>
      results.map((item) => (isProblem(item) ? item.problem.code : item.text));
    const anna = keystead.as(user("anna"));
    expect(told(await anna.revealMany(items))).toEqual(["***-**-1120", "REASON_REQUIRED", "ACCESS_DENIED", "MALFORMED_CIPHERTEXT"]);
    expect(told(await anna.revealMany(items, { reason }))).toEqual([
      "***-**-1120",
      "anna@example.org",
      "ACCESS_DENIED",
      "MALFORMED_CIPHERTEXT",
    ]);
    const digest = (text: string): string => createHash("sha256").update(text).digest("base64url");
    const denied = {
      outcome: "denied",
      key: "k",
      items: [`${digest(other)}!ACCESS_DENIED`],
      detail: { items: 1, denied: 1, plain: 0, masked: 0 },
    };
    const malformed = { outcome: "failed", items: [`${digest("x")}!MALFORMED_CIPHERTEXT`] };
    const allowed = (ciphertext: string, context: Readonly<Record<string, string>>): object => ({
      outcome: "allowed",
      key: "k",
      context,
      items: [digest(ciphertext)],
    });
    const one = { items: 1, failed: 0, denied: 0, batch: 4 };
    expect(await keystead.audit.show({ action: "data.reveal" })).toMatchObject([
      { ...allowed(sealed, ssn), detail: { ...one, plain: 0, masked: 1 } },
      { outcome: "failed", key: "k", context: email, items: [`${digest(mail)}!REASON_REQUIRED`] },
      denied,
      malformed,
      { ...allowed(sealed, ssn), reason, detail: { ...one, plain: 0, masked: 1 } },
      { ...allowed(mail, email), reason, detail: { ...one, plain: 1, masked: 0 } },
      { ...denied, reason },
      { ...malformed, reason },
    ]);
    expect(await codeOf(keystead.as(user("eve")).revealMany(items.slice(0, 1), { reason }).then(told))).toBe("no error");
    expect((await keystead.audit.show({ action: "data.reveal" })).at(-1)).toMatchObject({ outcome: "denied", reason });
  });
});

describe("rights to reveal", () => {
  const mask = (text: string, more: Partial<PolicyInput> = {}): PolicyInput => allow("os-user:anna", { mask: text, ...more });
  const change = { effect: "allow", subject: "os-user:anna", actions: ["policies.*", "tokens.*"] } as const;

  it.each<[string, readonly PolicyInput[], PolicyInput, string]>([
    ["plain covers a mask", [allow("os-user:anna")], mask("*{last:4}"), "no error"],
    ["a mask does not cover plain", [mask("*{last:4}")], allow("os-user:anna"), "ACCESS_DENIED"],
    ["a mask covers another look of the same characters", [mask("*{last:4}")], mask("…{last:4}"), "no error"],
    ["a mask does not cover more characters", [mask("*{last:4}")], mask("*{last:5}"), "ACCESS_DENIED"],
    ["nor fewer, which also show of shorter values", [mask("*{last:4}")], mask("*{last:2}"), "ACCESS_DENIED"],
    ["nor other characters", [mask("*{last:4}")], mask("{first:4}"), "ACCESS_DENIED"],
    ["a mask covers one that shows nothing", [mask("*{last:4}")], mask("***"), "no error"],
    ["a mask on a key does not cover all keys", [mask("*{last:4}", { keys: ["k"] })], mask("*{last:4}"), "ACCESS_DENIED"],
    ["decrypting covers nothing of it", [allow("os-user:anna", { actions: ["data.decrypt"] })], mask("*"), "ACCESS_DENIED"],
  ])("of one's own are not widened: %s", async (_, own, wanted, code) => {
    const { keystead } = await withPolicies(change, ...own);
    expect(await codeOf(keystead.as(user("anna")).policies.create(wanted))).toBe(code);
  });

  it("are not widened by taking the stricter mask away", async () => {
    const { keystead } = await withPolicies(change, mask("*{last:4}"));
    const strict = await keystead.policies.create(mask("**"));
    const anna = keystead.as(user("anna"));
    expect(await codeOf(anna.policies.remove(strict.id))).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.policies.set(strict.id, mask("**", { keys: ["l"] })))).toBe("ACCESS_DENIED");
    const loose = await keystead.policies.create(mask("*{last:8}"));
    expect(await codeOf(anna.policies.remove(loose.id))).toBe("no error");
    await keystead.policies.create(allow("os-user:anna"));
    expect(await codeOf(anna.policies.remove(strict.id))).toBe("no error");
  });

  it("go into a token only as far as its maker has them", async () => {
    const { keystead } = await withPolicies(change, mask("*{last:4}"), allow("role:seer"), allow("role:clerk", { mask: "…{last:4}" }));
    const anna = keystead.as(user("anna"));
    expect(await codeOf(anna.tokens.create({ name: "a", roles: ["seer"] }))).toBe("ACCESS_DENIED");
    expect(await codeOf(anna.tokens.create({ name: "b", roles: ["clerk"] }))).toBe("no error");
  });
});
