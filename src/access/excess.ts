import { actionNames, isActionNoun } from "./actions.ts";
import type { AccessScope } from "./caller.ts";
import { isMasked, type Subjects } from "./decide.ts";
import { countShown, coversMask, type Mask, parseMask } from "./mask.ts";
import { coversName, matchesAction, overlapOfActions } from "./patterns.ts";
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
  const lost = mine.filter((policy) => !theirs.some((their) => isSame(their, policy)));
  const bonds = lost.filter(({ effect }) => effect !== "allow");
  for (const grant of theirs.filter(({ effect }) => effect === "allow")) {
    for (const action of actionsOf(grant, grantee.subjects.scope)) {
      const bound = bonds.some((bond) => bond.actions.some((pattern) => overlapOfActions(pattern, action) !== undefined));
      const wide = narrowed(grant.scope, grantee.subjects.scope);
      const covering = mine.filter((policy) => allows(policy, action, wide));
      if (bound || !inScope(granter.subjects.scope, action, wide) || !isCovered(grant, covering, lost)) return action;
    }
  }
  return undefined;
}

/**
 * True when policies show as much of a field as a grant does. A plaintext covers every masked form; a masked form covers one that shows
 * the same characters, unless a stricter mask that bound is lost: of several the strictest counts.
 */
function isCovered({ scope: { mask } }: Policy, covering: readonly Policy[], lost: readonly Policy[]): boolean {
  if (covering.some((policy) => !isMasked(policy))) return true;
  if (mask === undefined) return false;
  const shown = parseMask(mask);
  const isStricter = (other: Mask): boolean => countShown(other) <= countShown(shown) && !coversMask(other, shown);
  return masksOf(covering).some((other) => coversMask(other, shown)) && !masksOf(lost).some(isStricter);
}

function masksOf(policies: readonly Policy[]): Mask[] {
  return policies.filter(isMasked).map(({ scope }) => parseMask(scope.mask ?? ""));
}

function speakingOf({ policies, subjects }: Standing): Policy[] {
  if (subjects.barred !== undefined) return [];
  return policies.filter(({ subject }) => subjects.names.has(subject));
}

function isSame(a: Policy, b: Policy): boolean {
  return a === b || (a.id === b.id && JSON.stringify(a) === JSON.stringify(b));
}

/** The actions that a policy allows within a credential's scope, and patterns of those that programs guard by themselves. */
function actionsOf({ actions }: Policy, scope: AccessScope | undefined): string[] {
  const good = scope?.actions ?? ["*"];
  const reached = actions.flatMap((pattern) => good.map((bound) => overlapOfActions(pattern, bound)).filter((both) => both !== undefined));
  const named = actionNames.filter((action) =>
    [actions, good].every((patterns) => patterns.some((pattern) => matchesAction(pattern, action))),
  );
  return [...named, ...reached.filter((pattern) => !isActionNoun(pattern.slice(0, pattern.indexOf("."))))];
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
