import type { Caller } from "../../access/caller.ts";
import { isMasked } from "../../access/decide.ts";
import { findExcess, type Standing } from "../../access/excess.ts";
import { overlapOfActions } from "../../access/patterns.ts";
import type { Policy } from "../../access/policy.ts";
import { ownSubjects, parsePrincipal } from "../../access/subject.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { Engine } from "../engine.ts";
import { AccessSnapshot } from "./access-snapshot.ts";

/** Somebody who must not gain by a change. */
interface Self {
  readonly caller: Caller;
  /** Subjects that he may be beside those that are known of him: claims, groups. */
  readonly maybe?: RegExp | undefined;
}

/** What a person may be beside himself, by where he comes from: a token does not tell it of whom it stands for. */
const memberships: Readonly<Record<string, RegExp>> = { oidc: /^claim:/, "os-user": /^group:/ };

/** Claims that somebody chooses when he signs in: he may have others the next time. */
const chosenClaims = /^claim:(?:scope|scp|azp|client_id)=/;

/**
 * Changes the rows of access control, unless who does it would gain by it: neither he, nor the person behind his token, nor a token of that
 * person may be able to do more afterwards than he could before. Behind a token the person may have any claim, and be in any group.
 * @throws KeysteadError `ACCESS_DENIED` naming an action; nothing is changed then
 */
export function changeAccess<T>(engine: Engine, change: (tables: StoreTables, before: AccessSnapshot) => Promise<T>): Promise<T> {
  return engine.store.transaction(async (tables) => {
    const before = await AccessSnapshot.read(tables);
    const result = await change(tables, before);
    // Somebody else's access control decides about the change alone: it knows nothing of policies.
    if (engine.access === engine.policies) assertNoGain(engine.caller, before, await AccessSnapshot.read(tables));
    return result;
  });
}

function assertNoGain(caller: Caller, before: AccessSnapshot, after: AccessSnapshot): void {
  const own = before.standingOf(caller);
  for (const self of selvesOf(caller, before)) {
    const was = standingOf(self.caller, before);
    const bonds = [...voicesOf(self.caller, undefined, after).values()].filter(binds);
    for (const policy of gainsOf(self, before, after)) {
      const names = new Set([policy.subject, ...bonds.map(({ subject }) => subject)]);
      const { scope } = self.caller;
      const now = { policies: [policy, ...bonds], subjects: { names, ...(scope !== undefined && { scope }) } };
      const action = findExcess(was, now) === undefined ? undefined : findExcess(own, now);
      if (action === undefined) continue;
      throw new KeysteadError(
        "ACCESS_DENIED",
        `that would let you do ${action}, to more than you may now: nobody gives himself rights; ask another administrator` +
          (caller.principal.source === "token" ? ", or do it without a token where it is about claims or groups that are not yours" : ""),
      );
    }
  }
}

/** A caller, the person behind it, and that person's tokens. */
function selvesOf(caller: Caller, snapshot: AccessSnapshot): Self[] {
  const { source } = caller.principal;
  const person = snapshot.personOf(caller.principal);
  const principal = parsePrincipal(person);
  const tokens = [...snapshot.tokens.values()].filter(({ id }) => snapshot.personOf({ source: "token", id }) === person);
  return [
    { caller, maybe: source === "oidc" ? chosenClaims : undefined },
    ...(principal === undefined || source !== "token" ? [] : [{ caller: { principal }, maybe: memberships[principal.source] }]),
    ...tokens.map((token) => ({ caller: snapshot.callerOf(token) })),
  ];
}

/** What somebody may do: nothing while he is barred. */
function standingOf(caller: Caller, snapshot: AccessSnapshot): Standing {
  const { policies, subjects } = snapshot.standingOf(caller);
  return { policies: isBarred(caller, snapshot) ? [] : policies, subjects };
}

/** What is allowed to somebody afterwards and may be more than before: what newly speaks of him, and what no longer is denied to him. */
function gainsOf({ caller, maybe }: Self, before: AccessSnapshot, after: AccessSnapshot): Policy[] {
  if (isBarred(caller, after)) return [];
  const now = voicesOf(caller, maybe, after);
  const then = isBarred(caller, before) ? new Map<string, Policy>() : voicesOf(caller, maybe, before);
  const lost = [...then].filter(([key, policy]) => binds(policy) && !now.has(key)).flatMap(([, { actions }]) => actions);
  // What he may be was disabled, and is no more: everything was denied to him then.
  if (
    [...before.principals.values()].some(
      ({ subject, disabled }) => disabled && maybe?.test(subject) === true && !isDisabled(subject, after),
    )
  )
    lost.push("*");
  const gained = [...now].filter(([key, policy]) => policy.effect === "allow" && (!then.has(key) || overlaps(policy, lost)));
  return [...new Set(gained.map(([, policy]) => policy))];
}

/** Every policy that speaks of somebody, for each thing that he is and by which it does. */
function voicesOf(caller: Caller, maybe: RegExp | undefined, snapshot: AccessSnapshot): Map<string, Policy> {
  const named = [...snapshot.policies, ...snapshot.principals.values()].map(({ subject }) => subject);
  const possible = maybe === undefined ? [] : named.filter((subject) => maybe.test(subject));
  const voices = new Map<string, Policy>();
  for (const by of new Set([...ownSubjects(caller), ...possible])) {
    const names = new Set([by, ...(snapshot.principals.get(by)?.roles ?? []).map((role) => `role:${role}`)]);
    for (const policy of snapshot.policies) if (names.has(policy.subject)) voices.set(`${by} ${JSON.stringify(policy)}`, policy);
  }
  return voices;
}

/** True for who may do nothing: one that is disabled, a token that is not good, or whose maker is disabled. */
function isBarred(caller: Caller, snapshot: AccessSnapshot): boolean {
  const { source, id } = caller.principal;
  if (source === "token" && snapshot.tokenProblem(id, Number.NEGATIVE_INFINITY) !== undefined) return true;
  return ownSubjects(caller).some((subject) => isDisabled(subject, snapshot));
}

function isDisabled(subject: string, { principals }: AccessSnapshot): boolean {
  return principals.get(subject)?.disabled === true;
}

/** True for what takes something away: a mask does where another policy shows more. */
function binds(policy: Policy): boolean {
  return policy.effect !== "allow" || isMasked(policy);
}

function overlaps({ actions }: Policy, others: readonly string[]): boolean {
  return actions.some((pattern) => others.some((other) => overlapOfActions(pattern, other) !== undefined));
}
