import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Subjects } from "../../src/access/decide.ts";
import { coversName, matchesAction, matchesName } from "../../src/access/patterns.ts";
import { parsePolicy, type Policy, type PolicyInput } from "../../src/access/policy.ts";

const noon = Date.UTC(2027, 0, 4, 12);

function policy(id: string, input: Partial<PolicyInput>): Policy {
  return { id, ...parsePolicy({ effect: "allow", subject: "os-user:anna", actions: ["*"], ...input }) };
}

function of(...names: readonly string[]): Subjects {
  return { names: new Set(names) };
}

const anna = of("os-user:anna", "*");

describe("a decision", () => {
  it.each<[string, readonly Policy[], Subjects, string, Parameters<typeof decide>[3], string, string | undefined]>([
    ["nothing is allowed by nobody", [], anna, "data.encrypt", {}, "deny", undefined],
    ["a policy allows", [policy("a", {})], anna, "data.encrypt", {}, "allow", "a"],
    ["for somebody else", [policy("a", { subject: "os-user:bob" })], anna, "data.encrypt", {}, "deny", undefined],
    ["another action", [policy("a", { actions: ["keys.*"] })], anna, "data.encrypt", {}, "deny", undefined],
    ["one verb of every noun", [policy("a", { actions: ["*.list"] })], anna, "keys.list", {}, "allow", "a"],
    ["deny wins", [policy("a", {}), policy("b", { effect: "deny", actions: ["data.*"] })], anna, "data.encrypt", {}, "deny", "b"],
    [
      "approve alone allows nothing",
      [policy("a", { effect: "approve", actions: ["keys.*"] })],
      anna,
      "keys.destroy",
      {},
      "deny",
      undefined,
    ],
    ["approve", [policy("a", {}), policy("b", { effect: "approve", actions: ["keys.*"] })], anna, "keys.destroy", {}, "approve", "b"],
    ["one key", [policy("a", { keys: ["acme/*"] })], anna, "data.encrypt", { key: "acme/x" }, "allow", "a"],
    ["another key", [policy("a", { keys: ["acme/*"] })], anna, "data.encrypt", { key: "acme/x/y" }, "deny", undefined],
    ["no key at all", [policy("a", { keys: ["**"] })], anna, "keys.list", {}, "deny", undefined],
    ["a purpose", [policy("a", { purposes: ["pii"] })], anna, "data.encrypt", { key: "k", purpose: "pii" }, "allow", "a"],
    ["a context", [policy("a", { context: { tenant: ["a"] } })], anna, "data.encrypt", { context: { tenant: "a" } }, "allow", "a"],
    ["another context", [policy("a", { context: { tenant: ["a"] } })], anna, "data.encrypt", { context: {} }, "deny", undefined],
    ["a context that is unknown", [policy("a", { context: { tenant: ["a"] } })], anna, "keys.open", {}, "deny", undefined],
    [
      "a deny for a context that is unknown",
      [policy("a", {}), policy("b", { effect: "deny", context: { tenant: ["a"] } })],
      anna,
      "keys.open",
      {},
      "deny",
      "b",
    ],
    ["too early", [policy("a", { notBefore: "2027-01-04T12:00:00.001Z" })], anna, "keys.list", {}, "deny", undefined],
    ["just over", [policy("a", { notAfter: "2027-01-04T12:00:00Z" })], anna, "keys.list", {}, "deny", undefined],
    ["in the window", [policy("a", { daily: { days: ["mon"], from: "12:00", to: "12:01" } })], anna, "keys.list", {}, "allow", "a"],
    ["another day", [policy("a", { daily: { days: ["tue"], from: "00:00", to: "24:00" } })], anna, "keys.list", {}, "deny", undefined],
    ["another hour", [policy("a", { daily: { from: "08:00", to: "12:00" } })], anna, "keys.list", {}, "deny", undefined],
    ["who is disabled", [policy("a", {})], { ...anna, barred: "the principal is disabled" }, "keys.list", {}, "deny", undefined],
    [
      "a credential for other actions",
      [policy("a", {})],
      { ...anna, scope: { actions: ["keys.*"] } },
      "data.encrypt",
      {},
      "deny",
      undefined,
    ],
    [
      "a credential for other keys",
      [policy("a", {})],
      { ...anna, scope: { keys: ["x"] } },
      "data.encrypt",
      { key: "y" },
      "deny",
      undefined,
    ],
    ["a credential for some keys", [policy("a", {})], { ...anna, scope: { keys: ["x"] } }, "keys.list", {}, "deny", undefined],
    ["an empty scope", [policy("a", {})], { ...anna, scope: { actions: [] } }, "keys.list", {}, "deny", undefined],
  ])("%s", (_, policies, subjects, action, resource, outcome, id) => {
    expect(decide(policies, subjects, action, resource, noon)).toMatchObject({ outcome, ...(id !== undefined && { policy: id }) });
  });

  it("lasts unless time or context matter to it", () => {
    const timed = policy("b", { actions: ["keys.*"], notBefore: "2030-01-01T00:00:00Z" });
    const lasting = (action: string): boolean => decide([policy("a", {}), timed], anna, action, {}, noon).lasting;
    expect([lasting("data.encrypt"), lasting("keys.list")]).toEqual([true, false]);
  });
});

const names = fc.constantFrom("k", "acme/k", "acme/x/k", "other");
const patterns = fc.constantFrom("k", "acme/*", "acme/**", "**", "o*");
const action = fc.constantFrom("data.encrypt", "data.decrypt", "keys.list", "keys.destroy");
const actionPatterns = fc.constantFrom("*", "data.*", "*.list", "keys.destroy", "data.encrypt");
const subject = fc.constantFrom("os-user:anna", "role:a", "*", "os-user:bob");
const anyPolicy = fc
  .record(
    {
      effect: fc.constantFrom("allow", "allow", "deny", "approve"),
      subject,
      actions: fc.array(actionPatterns, { minLength: 1, maxLength: 2 }),
      keys: fc.array(patterns, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: ["effect", "subject", "actions"] },
  )
  // Operations on data can't wait for a second person.
  .map((input) => parsePolicy(input.effect === "approve" ? { ...input, actions: ["keys.destroy"] } : input));
const anyPolicies = fc.array(anyPolicy, { maxLength: 6 }).map((list) => list.map((each, index) => ({ ...each, id: `p${String(index)}` })));
const resource = fc.record({ key: names }, { requiredKeys: [] });

describe("any policies", () => {
  it("are independent of their order", () => {
    const shuffled = anyPolicies.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(shuffled, action, resource, ([one, other], wanted, place) => {
        expect(decide(other, anna, wanted, place, noon)).toEqual(decide(one, anna, wanted, place, noon));
      }),
    );
  });

  it("allow nothing that one of them denies, and nothing that none of them allows", () => {
    fc.assert(
      fc.property(anyPolicies, action, resource, (list, wanted, place) => {
        const speaks = (effect: string): boolean =>
          list.some(
            (each) =>
              each.effect === effect &&
              anna.names.has(each.subject) &&
              each.actions.some((pattern) => matchesAction(pattern, wanted)) &&
              (each.scope.keys === undefined ||
                (place.key !== undefined && each.scope.keys.some((pattern) => matchesName(pattern, place.key ?? "")))),
          );
        const expected = speaks("deny") || !speaks("allow") ? "deny" : speaks("approve") ? "approve" : "allow";
        expect(decide(list, anna, wanted, place, noon).outcome).toBe(expected);
      }),
    );
  });

  it("give by masks what is masked of a field, and nothing else", () => {
    const masks = fc
      .array(fc.constantFrom("***", "{last:2}", "{first:4}"), { minLength: 1, maxLength: 3 })
      .map((list) => list.map((mask, index) => policy(`m${String(index)}`, { actions: ["data.reveal"], mask })));
    const wanted = fc.oneof(action, fc.constant("data.reveal"));
    fc.assert(
      fc.property(anyPolicies, masks, wanted, resource, (list, masked, what, place) => {
        const before = decide(list, anna, what, place, noon);
        const after = decide([...list, ...masked], anna, what, place, noon);
        const isShown = what === "data.reveal" && before.reason === "no policy allows it";
        expect(after.outcome).toBe(isShown ? "masked" : before.outcome);
        expect(after.masked !== undefined).toBe(what === "data.reveal" && after.outcome !== "deny");
      }),
    );
  });

  it.each<Partial<PolicyInput>>([
    { effect: "deny" },
    { actions: ["data.*"] },
    { actions: ["*"] },
    { actions: ["data.reveal", "data.hash"] },
  ])("have a mask only where they allow to reveal, and nothing else: %o", (more) => {
    expect(() => policy("a", { actions: ["data.reveal"], mask: "*", ...more })).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });

  it("are only narrowed by a scope", () => {
    const scope = fc.record({ actions: fc.array(actionPatterns), keys: fc.array(patterns) }, { requiredKeys: [] });
    fc.assert(
      fc.property(anyPolicies, action, resource, scope, (list, wanted, place, narrow) => {
        const { outcome } = decide(list, { ...anna, scope: narrow }, wanted, place, noon);
        if (outcome !== "deny") expect(outcome).toBe(decide(list, anna, wanted, place, noon).outcome);
      }),
    );
  });
});

describe("patterns", () => {
  it("cover only what they match", () => {
    const part = fc.constantFrom("a", "ab", "b", "*", "a*", "*b");
    const pattern = fc
      .tuple(fc.array(part, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([parts, open]) => (open ? [...parts, "**"] : parts).join("/"));
    const name = fc.array(fc.constantFrom("a", "ab", "b", "aab"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    fc.assert(
      fc.property(pattern, pattern, name, (wide, narrow, text) => {
        if (coversName(wide, narrow) && matchesName(narrow, text)) expect(matchesName(wide, text)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(["data.decrpt", "keys", "keys.*.x", "dat*.encrypt", "", "key.*.list"])(
    "of actions are refused when they fit none: %s",
    (pattern) => {
      expect(() => parsePolicy({ effect: "deny", subject: "*", actions: [pattern] })).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    },
  );
});
