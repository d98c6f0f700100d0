import fc from "fast-check";
import { expect, it } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import type { PolicyInput } from "../../../src/access/policy.ts";
import type { Keystead } from "../../../src/keystead.ts";
import { isKeysteadError } from "../../../src/errors.ts";
import { registerSecret } from "../../setup/canary.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

// Whatever an administrator changes, by his session or by a token of his: whoever he may be can do no more afterwards than before, but for
// what the one that changed it may do itself.

const person = { source: "oidc", id: "main:anna" } as const;
const name = "oidc:main:anna";
const claims = ["claim:team=a", "claim:team=b"] as const;
const teams = [[], ["a"], ["b"], ["a", "b"]] as const;
const actions = ["pay.one", "pay.two"] as const;

/** What somebody does to who may do what. Numbers choose among the policies that there are. */
type Change =
  | { readonly kind: "create"; readonly policy: PolicyInput }
  | { readonly kind: "set"; readonly at: number; readonly policy: PolicyInput }
  | { readonly kind: "remove"; readonly at: number }
  | { readonly kind: "give"; readonly subject: string; readonly roles: readonly string[]; readonly disabled: boolean }
  | { readonly kind: "forget"; readonly subject: string };

const subject = fc.constantFrom(name, ...claims, "role:r1", "role:r2", "*", "os-user:bob");
const policy: fc.Arbitrary<PolicyInput> = fc.record({
  effect: fc.constantFrom("allow", "allow", "deny", "approve"),
  subject,
  actions: fc.constantFrom(["pay.one"], ["pay.two"], ["pay.*"]),
});
const give = fc.record({
  kind: fc.constant("give" as const),
  subject: fc.constantFrom(name, ...claims),
  roles: fc.subarray(["r1", "r2"]),
  disabled: fc.boolean(),
});
const at = fc.nat(5);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), policy }),
  fc.record({ kind: fc.constant("set" as const), at, policy }),
  fc.record({ kind: fc.constant("remove" as const), at }),
  give,
  fc.record({ kind: fc.constant("forget" as const), subject: fc.constantFrom(name, ...claims) }),
);

/** Whom a change names that gives something. */
function givesTo(step: Change): string | undefined {
  if (step.kind === "create" || step.kind === "set") return step.policy.subject;
  return step.kind === "give" ? step.subject : undefined;
}

async function apply(by: Pick<Keystead, "policies" | "principals">, ids: readonly string[], step: Change): Promise<void> {
  const idAt = (place: number): string => ids[place % ids.length] ?? "none";
  if (step.kind === "create") await by.policies.create(step.policy);
  else if (step.kind === "set") await by.policies.set(idAt(step.at), step.policy);
  else if (step.kind === "remove") await by.policies.remove(idAt(step.at));
  else if (step.kind === "give") await by.principals.set(step.subject, { roles: step.roles, disabled: step.disabled });
  else await by.principals.remove(step.subject);
}

it("of an administrator and his tokens gives nobody of them what none of them had", { timeout: 240_000 }, async () => {
  let done = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { maxLength: 5 }),
      fc.array(give, { maxLength: 3 }),
      change,
      fc.boolean(),
      fc.constantFrom(...teams),
      fc.subarray([...actions]),
      async (policies, gifts, step, byToken, team, carried) => {
        const { keystead } = await createTestKeystead();
        for (const role of ["r1", "r2"])
          await keystead.policies.create({ effect: "deny", subject: `role:${role}`, actions: ["unused.act"] });
        await keystead.policies.create({ effect: "allow", subject: name, actions: ["policies.*", "principals.*", "tokens.*"] });
        const session: Caller = { principal: person, claims: { team } };
        const { token } = await keystead.as({ principal: person }).tokens.create({ name: "mine", roles: [] });
        registerSecret(token);
        const tokenCaller = await keystead.tokens.authenticator.authenticate(token);
        if (tokenCaller === undefined) throw new Error("the token is good");
        const administrate = ["policies.*", "principals.*"];
        const { id } = tokenCaller.principal;
        await keystead.policies.create({ effect: "allow", subject: `token:${id}`, actions: [...administrate, ...carried] });
        const ids: string[] = [];
        for (const each of policies) ids.push((await keystead.policies.create(each)).id);
        for (const { subject: whom, roles, disabled } of gifts) await keystead.principals.set(whom, { roles, disabled });
        const caller = byToken ? tokenCaller : session;
        const may = async (who: Caller): Promise<string[]> => {
          const allowed: string[] = [];
          for (const action of actions) {
            const done = await keystead
              .requireAccess(who, action, {}, () => true)
              .catch((error: unknown) => {
                if (isKeysteadError(error, "ACCESS_DENIED") || isKeysteadError(error, "APPROVAL_REQUIRED")) return false;
                throw error;
              });
            if (done) allowed.push(action);
          }
          return allowed;
        };
        // A token does not know with which claims its person signs in; a session has those that it has, or loses them.
        const selves: Caller[] = (byToken ? teams : [team, []]).map((some) => ({ principal: person, claims: { team: some } }));
        const before = [];
        for (const self of [...selves, tokenCaller]) before.push(await may(self));
        const own = await may(caller);
        try {
          await apply(keystead.as(caller), ids, step);
          done += 1;
        } catch (error) {
          if (!isKeysteadError(error)) throw error;
          refused += 1;
          return;
        }
        const isLent = givesTo(step) !== undefined && givesTo(step) !== name;
        for (const [place, self] of [...selves, tokenCaller].entries()) {
          const had = new Set([...(before[place] ?? []), ...(isLent || self === tokenCaller ? own : [])]);
          expect((await may(self)).filter((action) => !had.has(action))).toEqual([]);
        }
      },
    ),
    { numRuns: 300 },
  );
  // Neither is rare, or nothing was shown.
  expect(Math.min(done, refused)).toBeGreaterThan(30);
});
