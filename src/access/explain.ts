import type { Resource } from "./access-control.ts";
import { decide, type Decision, mismatchOf, type Subjects } from "./decide.ts";
import { matchesAction } from "./patterns.ts";
import type { Policy } from "./policy.ts";

/** A policy that speaks of somebody and an action, and whether it counts here. */
export interface ConsideredPolicy {
  readonly policy: string;
  readonly effect: Policy["effect"];
  readonly subject: string;
  readonly applies: boolean;
  /** Why not, when it does not. */
  readonly why?: string;
  /** What alone it lets be shown of a field. */
  readonly mask?: string;
}

/** Why somebody may do something, or may not. */
export interface Explanation extends Pick<Decision, "outcome" | "policy" | "masked" | "reason"> {
  /** Everything that somebody is: principal, roles, claims, groups, `*`. */
  readonly subjects: readonly string[];
  readonly considered: readonly ConsideredPolicy[];
  /** What was asked about and is not there. */
  readonly missing?: string;
}

/** Decides, and says by what. */
export function explain(policies: readonly Policy[], subjects: Subjects, action: string, resource: Resource, now: number): Explanation {
  const { lasting: _, ...decision } = decide(policies, subjects, action, resource, now);
  const considered = policies
    .filter((policy) => subjects.names.has(policy.subject) && policy.actions.some((pattern) => matchesAction(pattern, action)))
    .map((policy) => {
      const mismatch = mismatchOf(policy, action, resource, now);
      const { id, effect, subject, scope } = policy;
      return {
        policy: id,
        effect,
        subject,
        applies: mismatch === undefined,
        ...(mismatch !== undefined && { why: mismatch.why }),
        ...(scope.mask !== undefined && { mask: scope.mask }),
      };
    })
    .sort((a, b) => Number(b.applies) - Number(a.applies) || (a.policy < b.policy ? -1 : 1));
  return { ...decision, subjects: [...subjects.names].sort(), considered };
}
