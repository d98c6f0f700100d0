import type { Caller } from "../../access/caller.ts";
import { isMasked } from "../../access/decide.ts";
import { findExcess, type Standing } from "../../access/excess.ts";
import { overlapOfActions } from "../../access/patterns.ts";
import type { Policy } from "../../access/policy.ts";
import { ownSubjects, parsePrincipal, subjectOf } from "../../access/subject.ts";
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

/** A policy that speaks of somebody, and the thing that he is by which it does. */
interface Voice {
  readonly by: string;
  readonly policy: Policy;
}

/** What somebody may do afterwards that he may not have been able to do before. */
interface Gain extends Voice {
  /** True for what nothing said of him before; false for what no longer is kept from him. */
  readonly isNew: boolean;
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
    const was = standingBefore(self, before, after);
    const bonds = [...voicesOf({ caller: self.caller }, after).values()].map(({ policy }) => policy).filter(binds);
    for (const gain of gainsOf(self, before, after)) {
      const names = new Set([gain.policy.subject, ...bonds.map(({ subject }) => subject)]);
      const { scope } = self.caller;
      const now = { policies: [gain.policy, ...bonds], subjects: { names, ...(scope !== undefined && { scope }) } };
      const excess = findExcess(was, now);
      const action = excess !== undefined && isLendable(self, gain) ? findExcess(own, now) : excess;
      if (action === undefined) continue;
      throw new KeysteadError(
        "ACCESS_DENIED",
        `that would let you do ${action}, to more than you may now: nobody gives himself rights; ask another administrator` +
          (caller.principal.source === "token" ? ", or do it without a token where it is about claims or groups that are not yours" : ""),
      );
    }
  }
}

/**
 * The caller, what is left of it when its claims, groups and roles are not there any more, the person behind it, and that person's tokens.
 */
function selvesOf(caller: Caller, snapshot: AccessSnapshot): Self[] {
  const { principal } = caller;
  const person = snapshot.personOf(principal);
  const behind = principal.source === "token" ? parsePrincipal(person) : undefined;
  const tokens = [...snapshot.tokens.values()].filter(({ id }) => snapshot.personOf({ source: "token", id }) === person);
  return [
    { caller, maybe: principal.source === "oidc" ? chosenClaims : undefined },
    ...(principal.source === "token" ? [] : [{ caller: { principal } }]),
    ...(behind === undefined ? [] : [{ caller: { principal: behind }, maybe: memberships[behind.source] }]),
    ...tokens.map((token) => ({ caller: snapshot.callerOf(token) })),
  ];
}

/**
 * True for what the caller may give when he may do it himself: to his tokens, which end, and to everybody or to claims and groups that he may
 * have. What is said of his person by name outlives what he may do it by.
 */
function isLendable({ caller: { principal } }: Self, { by, isNew }: Gain): boolean {
  return principal.source === "token" || (isNew && by !== subjectOf(principal));
}

/** What somebody could surely do before: nothing while he is barred, or may have been; bound also by what only may have bound him. */
function standingBefore(self: Self, before: AccessSnapshot, after: AccessSnapshot): Standing {
  const { policies, subjects } = before.standingOf(self.caller);
  if (before.isBarred(self.caller) || isLetIn(self, before, after)) return { policies: [], subjects };
  const own = new Set(ownSubjects(self.caller));
  const bonds = lostBonds(self, before, after).flatMap(({ by, policy }) => (own.has(by) ? [] : [policy]));
  const known = policies.filter(({ subject }) => subjects.names.has(subject));
  const surely = bonds.some(isMasked) ? known.filter((policy) => !isMasked(policy)) : known;
  const names = new Set([...subjects.names, ...bonds.map(({ subject }) => subject)]);
  return { policies: [...new Set([...surely, ...bonds.filter((bond) => !isMasked(bond))])], subjects: { ...subjects, names } };
}

/** What is allowed to somebody afterwards and may be more than before: what newly speaks of him, and what no longer is denied to him. */
function gainsOf(self: Self, before: AccessSnapshot, after: AccessSnapshot): Gain[] {
  if (after.isBarred(self.caller)) return [];
  const then = before.isBarred(self.caller) ? new Map<string, Voice>() : voicesOf(self, before);
  const lost = isLetIn(self, before, after) ? ["*"] : lostBonds(self, before, after).flatMap(({ policy }) => policy.actions);
  return [...voicesOf(self, after)]
    .map(([key, voice]) => ({ ...voice, isNew: !then.has(key) }))
    .filter(({ policy, isNew }) => policy.effect === "allow" && (isNew || overlaps(policy, lost)));
}

/** What bound somebody, or may have, and does not any more. */
function lostBonds(self: Self, before: AccessSnapshot, after: AccessSnapshot): Voice[] {
  const now = voicesOf(self, after);
  return [...voicesOf(self, before)].filter(([key, { policy }]) => binds(policy) && !now.has(key)).map(([, voice]) => voice);
}

/** True when what somebody may be was disabled, and is no more: everything was denied to him then. */
function isLetIn({ maybe }: Self, before: AccessSnapshot, after: AccessSnapshot): boolean {
  if (maybe === undefined) return false;
  return [...before.principals.values()].some(({ subject, disabled }) => disabled && maybe.test(subject) && !after.isDisabled(subject));
}

/** Every policy that speaks of somebody, for each thing that he is, or may be, and by which it does. */
function voicesOf({ caller, maybe }: Self, snapshot: AccessSnapshot): Map<string, Voice> {
  const named = [...snapshot.policies, ...snapshot.principals.values()].map(({ subject }) => subject);
  const possible = maybe === undefined ? [] : named.filter((subject) => maybe.test(subject));
  const voices = new Map<string, Voice>();
  for (const by of new Set([...ownSubjects(caller), ...possible])) {
    const names = new Set([by, ...(snapshot.principals.get(by)?.roles ?? []).map((role) => `role:${role}`)]);
    for (const policy of snapshot.policies) if (names.has(policy.subject)) voices.set(`${by} ${JSON.stringify(policy)}`, { by, policy });
  }
  return voices;
}

/** True for what takes something away: a mask does where another policy shows more. */
function binds(policy: Policy): boolean {
  return policy.effect !== "allow" || isMasked(policy);
}

function overlaps({ actions }: Policy, others: readonly string[]): boolean {
  return actions.some((pattern) => others.some((other) => overlapOfActions(pattern, other) !== undefined));
}
