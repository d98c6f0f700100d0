import type { Caller } from "../../access/caller.ts";
import { findExcess } from "../../access/excess.ts";
import { parsePrincipal } from "../../access/subject.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { Engine } from "../engine.ts";
import { AccessSnapshot } from "./access-snapshot.ts";

/**
 * Changes the rows of access control, unless who does it would gain by it: neither he, nor the person behind his token, nor a token of that
 * person may be able to do more afterwards than he could before.
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
    const now = after.standingOf(self);
    if (findExcess(before.standingOf(self), now) === undefined) continue;
    const action = findExcess(own, now);
    if (action === undefined) continue;
    throw new KeysteadError(
      "ACCESS_DENIED",
      `that would let you do ${action}, to more than you may now: nobody gives himself rights; ask another administrator`,
    );
  }
}

/** A caller, the person behind it, and that person's tokens. */
function selvesOf(caller: Caller, snapshot: AccessSnapshot): Caller[] {
  const person = snapshot.personOf(caller.principal);
  const principal = parsePrincipal(person);
  const tokens = [...snapshot.tokens.values()].filter(({ id }) => snapshot.personOf({ source: "token", id }) === person);
  return [caller, ...(principal === undefined ? [] : [{ principal }]), ...tokens.map((token) => snapshot.callerOf(token))];
}
