import { actionNames } from "./actions.ts";
import type { AccessScope } from "./caller.ts";
import type { Subjects } from "./decide.ts";
import { coversName, matchesAction } from "./patterns.ts";
import type { Policy, PolicyScope } from "./policy.ts";

/** Somebody, and the policies that say what he may do. */
export interface Standing {
  readonly policies: readonly Policy[];
  readonly subjects: Subjects;
}

type Names = readonly string[] | undefined;

/**
 * An action that `grantee` could do although `granter` may not; undefined when there is none. In doubt it is too much: restrictions are
 * compared as they are written, and what denies or asks for a second person has to bind both.
 */
export function findExcess(granter: Standing, grantee: Standing): string | undefined {
  const mine = speakingOf(granter);
  const theirs = speakingOf(grantee);
  const bonds = mine.filter((bond) => bond.effect !== "allow" && !theirs.some((policy) => isSame(policy, bond)));
  for (const grant of theirs.filter(({ effect }) => effect === "allow")) {
    for (const action of actionsOf(grant, grantee.subjects.scope)) {
      const bound = bonds.some((bond) => bond.actions.some((pattern) => matchesAction(pattern, action)));
      const wide = narrowed(grant.scope, grantee.subjects.scope);
      if (bound || !inScope(granter.subjects.scope, action, wide) || !mine.some((policy) => allows(policy, action, wide))) return action;
    }
  }
  return undefined;
}

function speakingOf({ policies, subjects }: Standing): Policy[] {
  return policies.filter(({ subject }) => subjects.names.has(subject));
}

function isSame(a: Policy, b: Policy): boolean {
  return a === b || (a.id === b.id && JSON.stringify(a) === JSON.stringify(b));
}

/** The actions that a policy allows, and patterns of those that programs guard by themselves. */
function actionsOf({ actions }: Policy, scope: AccessScope | undefined): string[] {
  const named = actionNames.filter((action) => actions.some((pattern) => matchesAction(pattern, action)));
  const own = actions.filter((pattern) => pattern === "*" || !actionNames.some((action) => matchesAction(pattern, action)));
  return [...named, ...own].filter((action) => scope?.actions?.some((pattern) => matchesAction(pattern, action)) !== false);
}

/** Lists of which each bounds the names that a grant reaches: those of the policy, and those of the credential. */
interface Reach extends Omit<PolicyScope, "keys" | "purposes" | "datasets"> {
  readonly keys: readonly Names[];
  readonly purposes: readonly Names[];
  readonly datasets: readonly Names[];
}

function narrowed({ keys, purposes, datasets, ...rest }: PolicyScope, scope: AccessScope = {}): Reach {
  return { ...rest, keys: [keys, scope.keys], purposes: [purposes, scope.purposes], datasets: [datasets] };
}

function inScope(scope: AccessScope | undefined, action: string, reach: Reach): boolean {
  if (scope === undefined) return true;
  if (scope.actions?.some((pattern) => matchesAction(pattern, action)) === false) return false;
  return covers(scope.keys, reach.keys) && covers(scope.purposes, reach.purposes);
}

function allows({ effect, actions, scope }: Policy, action: string, reach: Reach): boolean {
  if (effect !== "allow" || !actions.some((pattern) => matchesAction(pattern, action))) return false;
  return (
    covers(scope.keys, reach.keys) &&
    covers(scope.purposes, reach.purposes) &&
    covers(scope.datasets, reach.datasets) &&
    sameOrAbsent(scope.context, reach.context) &&
    sameOrAbsent(scope.daily, reach.daily) &&
    (scope.notBefore === undefined || (reach.notBefore !== undefined && reach.notBefore >= scope.notBefore)) &&
    (scope.notAfter === undefined || (reach.notAfter !== undefined && reach.notAfter <= scope.notAfter))
  );
}

/** True when one of the bounds lies within `wide`. */
function covers(wide: Names, bounds: readonly Names[]): boolean {
  if (wide === undefined) return true;
  return bounds.some((bound) => bound?.every((narrow) => wide.some((pattern) => coversName(pattern, narrow))) === true);
}

function sameOrAbsent(wide: unknown, narrow: unknown): boolean {
  return wide === undefined || JSON.stringify(wide) === JSON.stringify(narrow);
}
