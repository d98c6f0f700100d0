import type { Resource } from "../../access/access-control.ts";
import { isPrincipal, malformedPrincipal } from "../../access/access-control.ts";
import { isActionName } from "../../access/actions.ts";
import type { Caller, RequestOrigin } from "../../access/caller.ts";
import type { Principal } from "../../access/principal.ts";
import { anything, assertArguments, callback, listOf, number, object, optional, recordOf, text } from "../../arguments.ts";
import { isKeyName } from "../../crypto/ciphertext.ts";
import { KeysteadError } from "../../errors.ts";
import { audited } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { isPurposeName } from "../purpose-records.ts";

const principalShape = object<Principal>({ source: text, id: text, name: optional(text), actingFor: optional(text) });
const callerShape = object<Caller>({
  principal: principalShape,
  roles: optional(listOf(text)),
  claims: optional(recordOf(listOf(text))),
  groups: optional(listOf(number)),
  scope: optional(recordOf(listOf(text))),
  request: optional(object<RequestOrigin>({ id: text, address: optional(text) })),
});
const rules = {
  who: (value: unknown, path: string) => (isCaller(value) ? callerShape : principalShape)(value, path),
  action: text,
  resource: object<Resource>({ key: optional(text), purpose: optional(text), dataset: optional(text), context: optional(recordOf(text)) }),
  work: callback,
  engine: anything,
};

/**
 * Does what a program guards by itself, for somebody who may: asked and recorded as Keystead's own acts are.
 * @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED`, `INVALID_ARGUMENT`, and what the work throws
 */
export async function requireAccess<T>(
  engine: Engine,
  who: Caller | Principal,
  action: string,
  resource: Resource,
  work: () => Promise<T> | T,
): Promise<T> {
  assertArguments({ engine, who, action, resource, work }, rules);
  const caller = isCaller(who) ? who : { principal: who };
  if (!isPrincipal(caller.principal)) throw malformedPrincipal("INVALID_ARGUMENT");
  if (!isActionName(action))
    throw new KeysteadError("INVALID_ARGUMENT", "an action is <noun>.<verb>: one of Keystead's, or one with a noun of your own");
  const { key, purpose } = resource;
  if (key !== undefined && !isKeyName(key))
    throw new KeysteadError("INVALID_ARGUMENT", "resource.key is no name of a key; leave it out for an act on none");
  if (purpose !== undefined && !isPurposeName(purpose))
    throw new KeysteadError("INVALID_ARGUMENT", "resource.purpose is no name of a purpose; leave it out for an act on none");
  return audited({ ...engine, caller }, { action, ...resource, terms: {} }, async () => work());
}

function isCaller<T>(who: T): who is Extract<T, Caller> {
  return typeof who === "object" && who !== null && "principal" in who;
}
