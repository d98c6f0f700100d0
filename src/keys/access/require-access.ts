import type { Resource } from "../../access/access-control.ts";
import { isPrincipal, malformedPrincipal } from "../../access/access-control.ts";
import { isActionName } from "../../access/actions.ts";
import type { Caller } from "../../access/caller.ts";
import type { Principal } from "../../access/principal.ts";
import { anything, assertArguments, callback, object, optional, recordOf, rule, text } from "../../arguments.ts";
import { KeysteadError } from "../../errors.ts";
import { audited } from "../audited.ts";
import type { Engine } from "../engine.ts";

const rules = {
  who: rule("a caller or a principal", (value) => typeof value === "object" && value !== null),
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
  const caller = "principal" in who ? who : { principal: who };
  if (!isPrincipal(caller.principal)) throw malformedPrincipal("INVALID_ARGUMENT");
  if (!isActionName(action))
    throw new KeysteadError("INVALID_ARGUMENT", "an action is <noun>.<verb>: one of Keystead's, or one with a noun of your own");
  return audited({ ...engine, caller }, { action, ...resource }, async () => work());
}
