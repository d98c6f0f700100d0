import type { Caller } from "../../access/caller.ts";
import { findExcess, type Standing } from "../../access/excess.ts";
import type { PrincipalSource } from "../../access/principal.ts";
import { parsePrincipal } from "../../access/subject.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { Engine } from "../engine.ts";
import { AccessSnapshot } from "./access-snapshot.ts";

/** Somebody who must not gain by a change: what he may do by rows of access control. */
type Self = (snapshot: AccessSnapshot) => Standing;

/** What a person is beside himself, by where he comes from. A token does not say to which of them its maker belongs. */
const memberships: Partial<Readonly<Record<PrincipalSource, string>>> = { oidc: "claim:", "os-user": "group:" };

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
  for (const self of [...selvesOf(caller, before), ...membersOf(caller, before, after)]) {
    const now = self(after);
    if (findExcess(self(before), now) === undefined) continue;
    const action = findExcess(own, now);
    if (action === undefined) continue;
    throw new KeysteadError(
      "ACCESS_DENIED",
      `that would let you do ${action}, to more than you may now: nobody gives himself rights; ask another administrator` +
        (caller.principal.source === "token" ? ", or do it without a token where it is about claims or groups that are not yours" : ""),
    );
  }
}

/** A caller, the person behind it, and that person's tokens. */
function selvesOf(caller: Caller, snapshot: AccessSnapshot): Self[] {
  const person = snapshot.personOf(caller.principal);
  const principal = parsePrincipal(person);
  const tokens = [...snapshot.tokens.values()].filter(({ id }) => snapshot.personOf({ source: "token", id }) === person);
  const selves = [caller, ...(principal === undefined ? [] : [{ principal }]), ...tokens.map((token) => snapshot.callerOf(token))];
  return selves.map((self) => (at) => standingOf(self, at));
}

/** What somebody may do: nothing with a token that is not good, or whose maker is disabled. */
function standingOf(self: Caller, snapshot: AccessSnapshot): Standing {
  const standing = snapshot.standingOf(self);
  const { source, id } = self.principal;
  const problem = source === "token" ? snapshot.tokenProblem(id, Number.NEGATIVE_INFINITY) : undefined;
  return problem === undefined ? standing : { ...standing, subjects: { ...standing.subjects, barred: problem } };
}

/**
 * The person behind a token, with each claim or group that the change is about: alone, as what is allowed to it helps most then, and with
 * all others that allow something, as what no longer denies it helps most then.
 */
function membersOf({ principal }: Caller, before: AccessSnapshot, after: AccessSnapshot): Self[] {
  if (principal.source !== "token") return [];
  const person = before.personOf(principal);
  const prefix = memberships[parsePrincipal(person)?.source ?? "token"];
  if (prefix === undefined) return [];
  const [old, fresh] = [rowsAbout(before, prefix), rowsAbout(after, prefix)];
  const all = [...new Set([...old.keys(), ...fresh.keys()])];
  const touched = all.filter((subject) => old.get(subject) !== fresh.get(subject));
  const others = all.filter((subject) => !touched.includes(subject));
  const alone = touched.map((subject): Self => (at) => ({ policies: at.policies, subjects: at.subjectsNamed(person, [subject]) }));
  const withOthers: Self = (at) => {
    const helping = others.filter((subject) => at.principals.get(subject)?.disabled !== true);
    const policies = at.policies.filter(({ effect, subject }) => effect === "allow" || !others.includes(subject));
    return { policies, subjects: at.subjectsNamed(person, [...touched, ...helping]) };
  };
  return touched.length === 0 ? [] : [...alone, withOthers];
}

/** What rows say about each subject that begins so. */
function rowsAbout({ policies, principals }: AccessSnapshot, prefix: string): Map<string, string> {
  const rows = [...policies, ...principals.values()].filter(({ subject }) => subject.startsWith(prefix));
  const bySubject = Map.groupBy(rows, ({ subject }) => subject);
  return new Map([...bySubject].map(([subject, about]) => [subject, JSON.stringify(about)]));
}
