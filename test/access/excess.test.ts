import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Decision, type Subjects } from "../../src/access/decide.ts";
import { findExcess } from "../../src/access/excess.ts";
import { matchesAction, overlapOfActions } from "../../src/access/patterns.ts";
import { parsePolicy, type Policy, type PolicyInput } from "../../src/access/policy.ts";

const noon = Date.UTC(2027, 0, 4, 12);
const patterns = ["*", "data.*", "data.encrypt", "keys.*", "*.list", "keys.list", "payroll.*", "payroll.print", "payroll.list"];
const actions = ["data.encrypt", "keys.list", "keys.rotate", "payroll.print", "payroll.list", "wages.pay"];
const rank: Readonly<Record<Decision["outcome"], number>> = { deny: 0, masked: 1, approve: 2, allow: 3 };

const somePatterns = fc.subarray(patterns, { minLength: 1, maxLength: 3 });
const names = fc.subarray(["a", "a/*", "a/**", "**", "b"], { minLength: 1, maxLength: 2 });
const input: fc.Arbitrary<PolicyInput> = fc.record(
  {
    effect: fc.constantFrom("allow", "allow", "allow", "deny", "approve"),
    subject: fc.constantFrom("os-user:anna", "os-user:bob", "role:x", "*"),
    actions: somePatterns,
    keys: names,
    purposes: fc.subarray(["pii", "api"], { minLength: 1 }),
    context: fc.constantFrom({ tenant: ["a"] }, { tenant: ["a", "b"] }),
    notAfter: fc.constantFrom("2027-01-04T12:00:00Z", "2027-01-05T12:00:00Z"),
  },
  { requiredKeys: ["effect", "subject", "actions"] },
);
const policies = fc.array(input, { maxLength: 6 }).map((inputs) =>
  inputs.flatMap((each, index): Policy[] => {
    // Operations on data can't wait for a second person.
    if (each.effect === "approve" && each.actions.some((pattern) => matchesAction(pattern, "data.encrypt"))) return [];
    return [{ id: String(index), ...parsePolicy(each) }];
  }),
);
const scope = fc.option(fc.record({ actions: somePatterns, keys: names }, { requiredKeys: [] }), { nil: undefined, freq: 2 });
const somebody = fc.tuple(fc.subarray(["os-user:anna", "os-user:bob", "role:x"]), scope).map(([own, bounds]): Subjects => ({
  names: new Set([...own, "*"]),
  ...(bounds !== undefined && { scope: bounds }),
}));
const resource = fc.record(
  {
    key: fc.constantFrom("a", "a/b", "a/b/c", "b"),
    purpose: fc.constantFrom("pii", "api"),
    context: fc.constantFrom({}, { tenant: "a" }, { tenant: "b" }),
  },
  { requiredKeys: [] },
);

describe("who gives rights", () => {
  it("has them himself, whatever patterns and scopes say, unless too much is found", () => {
    let found = 0;
    fc.assert(
      fc.property(policies, somebody, somebody, (list, granter, grantee) => {
        const excess = findExcess({ policies: list, subjects: granter }, { policies: list, subjects: grantee });
        if (excess !== undefined) return;
        found += 1;
        fc.assert(
          fc.property(fc.constantFrom(...actions), resource, (action, place) => {
            const [mine, theirs] = [granter, grantee].map((who) => decide(list, who, action, place, noon).outcome);
            expect(rank[theirs ?? "allow"]).toBeLessThanOrEqual(rank[mine ?? "deny"]);
          }),
          { numRuns: 30 },
        );
      }),
      { numRuns: 3000 },
    );
    expect(found).toBeGreaterThan(300);
  });

  it("is bound by what denies a part of what a pattern gives", () => {
    const [all, part, other]: readonly PolicyInput[] = [
      { effect: "allow", subject: "*", actions: ["payroll.*"] },
      { effect: "deny", subject: "os-user:anna", actions: ["payroll.print"] },
      { effect: "deny", subject: "os-user:anna", actions: ["wages.*"] },
    ];
    const excess = (...inputs: readonly (PolicyInput | undefined)[]): string | undefined => {
      const list = inputs.flatMap((each, index) => (each === undefined ? [] : [{ id: String(index), ...parsePolicy(each) }]));
      const standing = (...own: readonly string[]) => ({ policies: list, subjects: { names: new Set([...own, "*"]) } });
      return findExcess(standing("os-user:anna"), standing("os-user:bob"));
    };
    expect(excess(all, part)).toBe("payroll.*");
    expect(excess(all, other)).toBeUndefined();
  });

  it("may give what he has", () => {
    fc.assert(
      fc.property(policies, somebody, (list, who) => {
        const plain = list.map((each) => ({ ...each, effect: "allow" as const }));
        const standing = { policies: plain, subjects: who };
        const excess = findExcess(standing, standing);
        // In doubt it is too much: two bounds on names together are not compared.
        if (who.scope === undefined) expect(excess).toBeUndefined();
      }),
    );
  });

  it("gives nothing to whom is barred, and has nothing while he is barred", () => {
    const all = {
      policies: [{ id: "1", ...parsePolicy({ effect: "allow", subject: "*", actions: ["*"] }) }],
      subjects: { names: new Set(["*"]) },
    };
    const barred = { ...all, subjects: { ...all.subjects, barred: "it is disabled" } };
    expect(findExcess(all, barred)).toBeUndefined();
    expect(findExcess(barred, all)).toBeDefined();
  });
});

it("two patterns of actions overlap where an action fits both", () => {
  for (const one of patterns)
    for (const other of patterns) {
      const both = actions.filter((action) => matchesAction(one, action) && matchesAction(other, action));
      const overlap = overlapOfActions(one, other);
      if (overlap === undefined) expect(both, `${one} ${other}`).toEqual([]);
      else for (const action of both) expect(matchesAction(overlap, action), `${one} ${other}`).toBe(true);
    }
});
