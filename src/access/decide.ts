import type { Resource } from "./access-control.ts";
import { findAction, revealAction } from "./actions.ts";
import type { AccessScope } from "./caller.ts";
import { countShown, parseMask } from "./mask.ts";
import { matchesAction, matchesName } from "./patterns.ts";
import { contextFits, type Policy, timeFits } from "./policy.ts";

/** What policies know of a caller. */
export interface Subjects {
  /** Everything that it is: principal, roles, claims, groups, `*`. */
  readonly names: ReadonlySet<string>;
  /** Why it may do nothing at all. */
  readonly barred?: string;
  /** What its credential is good for at most. */
  readonly scope?: AccessScope;
}

/** What was decided. */
export interface Decision {
  /** `masked`: nothing but the masked form of a field. */
  readonly outcome: "allow" | "deny" | "approve" | "masked";
  /** The policy that decided: `role:NAME` for a built-in role, undefined when none did. */
  readonly policy?: string;
  /** How a field is shown without a reason, and the policy that says so. */
  readonly masked?: { readonly policy: string; readonly mask: string };
  /** In words, without values. */
  readonly reason: string;
  /** True when it holds for as long as the policies stay: neither the time nor the context mattered. */
  readonly lasting: boolean;
}

/** Why a policy does not speak of an act; undefined when it does. `condition`: it would at another time, or in another context. */
export interface Mismatch {
  readonly why: string;
  readonly condition: boolean;
}

/**
 * Decides by policies alone: nothing is allowed unless a policy allows it, a policy that denies wins over all that allow, and a credential's
 * scope only narrows. The order of the policies does not matter: of several that decide, the one with the smallest id is named, and of several
 * masks the one counts that shows the fewest characters.
 */
export function decide(
  policies: readonly Policy[],
  { names, barred, scope }: Subjects,
  action: string,
  resource: Resource,
  now: number,
): Decision {
  if (barred !== undefined) return { outcome: "deny", reason: barred, lasting: false };
  const outside = scope === undefined || findAction(action)?.self === true ? undefined : scopeProblem(scope, action, resource);
  if (outside !== undefined) return { outcome: "deny", reason: outside, lasting: true };
  const found: Partial<Record<Policy["effect"], Policy>> = {};
  let masked: Policy | undefined;
  let lasting = true;
  for (const policy of policies) {
    if (!names.has(policy.subject)) continue;
    const mismatch = mismatchOf(policy, action, resource, now);
    if (mismatch?.condition === true || (mismatch === undefined && isConditional(policy))) lasting = false;
    if (mismatch !== undefined) continue;
    if (isMasked(policy)) {
      if (action === revealAction && showsLess(policy, masked)) masked = policy;
      continue;
    }
    const before = found[policy.effect];
    if (before === undefined || policy.id < before.id) found[policy.effect] = policy;
  }
  const { deny, allow, approve } = found;
  if (deny !== undefined) return { outcome: "deny", policy: deny.id, reason: `policy ${deny.id} denies it`, lasting };
  if (allow === undefined && masked === undefined) return { outcome: "deny", reason: "no policy allows it", lasting };
  if (approve !== undefined)
    return { outcome: "approve", policy: approve.id, reason: `policy ${approve.id} asks for a second person`, lasting };
  const shown = masked && { masked: { policy: masked.id, mask: masked.scope.mask ?? "" } };
  if (allow !== undefined) return { outcome: "allow", policy: allow.id, ...shown, reason: `${nameOf(allow)} allows it`, lasting };
  const { policy = "", mask = "" } = shown?.masked ?? {};
  return { outcome: "masked", policy, ...shown, reason: `policy ${policy} allows the masked form ${mask} alone`, lasting };
}

/** True for a policy that allows nothing but masked forms. */
export function isMasked({ effect, scope }: Policy): boolean {
  return effect === "allow" && scope.mask !== undefined;
}

function showsLess(policy: Policy, before: Policy | undefined): boolean {
  if (before === undefined) return true;
  const difference = shownBy(policy) - shownBy(before);
  return difference < 0 || (difference === 0 && policy.id < before.id);
}

function shownBy({ scope }: Policy): number {
  return countShown(parseMask(scope.mask ?? ""));
}

/** True when some policy that speaks of such an act of the caller, at whatever time, goes by the context. */
export function asksContext(policies: readonly Policy[], { names }: Subjects, action: string, resource: Resource): boolean {
  const { context: _, ...known } = resource;
  return policies.some((policy) => {
    const { context, keys, purposes, datasets } = policy.scope;
    if (context === undefined || !names.has(policy.subject)) return false;
    const anywhere = { ...policy, scope: { ...(keys && { keys }), ...(purposes && { purposes }), ...(datasets && { datasets }) } };
    return mismatchOf(anywhere, action, known, 0) === undefined;
  });
}

/** Why a policy does not speak of an act, whoever does it; undefined when it does. */
export function mismatchOf(policy: Policy, action: string, resource: Resource, now: number): Mismatch | undefined {
  const { scope } = policy;
  if (!policy.actions.some((pattern) => matchesAction(pattern, action))) return { why: "it is about other actions", condition: false };
  const elsewhere =
    outsideNames("key", scope.keys, resource.key) ??
    outsideNames("purpose", scope.purposes, resource.purpose) ??
    outsideNames("dataset", scope.datasets, resource.dataset);
  if (elsewhere !== undefined) return { why: elsewhere, condition: false };
  if (scope.context !== undefined && !contextMatters(policy, scope.context, action, resource))
    return { why: "it is about another context", condition: true };
  return timeFits(scope, now) ? undefined : { why: "it holds at another time", condition: true };
}

/**
 * A policy that allows holds in a context that is known and fits. One that denies, or asks for a second person, holds also where an act has a
 * context that nobody can know beforehand, such as that of a key which is held open, or did not tell, as programs may that guard by themselves.
 */
function contextMatters(
  { effect }: Policy,
  wanted: NonNullable<Policy["scope"]["context"]>,
  action: string,
  { context }: Resource,
): boolean {
  if (context !== undefined) return contextFits(wanted, context);
  const known = findAction(action);
  return effect !== "allow" && (known === undefined || known.context === true);
}

/** Why an act is outside of what a credential is good for; undefined when it is inside. */
function scopeProblem({ actions, keys, purposes }: AccessScope, action: string, { key, purpose }: Resource): string | undefined {
  if (actions !== undefined && !actions.some((pattern) => matchesAction(pattern, action))) return "the credential is not for this action";
  if (outsideNames("key", keys, key) !== undefined) return "the credential is for other keys";
  return outsideNames("purpose", purposes, purpose) === undefined ? undefined : "the credential is for other purposes";
}

function outsideNames(what: string, patterns: readonly string[] | undefined, name: string | undefined): string | undefined {
  if (patterns === undefined) return undefined;
  if (name === undefined) return `it is about some ${what}s, and this act is on none`;
  return patterns.some((pattern) => matchesName(pattern, name)) ? undefined : `it is about other ${what}s`;
}

function isConditional({ scope }: Policy): boolean {
  return scope.context !== undefined || scope.notBefore !== undefined || scope.notAfter !== undefined || scope.daily !== undefined;
}

function nameOf({ id }: Policy): string {
  return id.startsWith("role:") ? `role ${id.slice(5)}` : `policy ${id}`;
}
