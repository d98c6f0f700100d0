import type { Caller } from "../../src/access/caller.ts";
import type { PolicyInput } from "../../src/access/policy.ts";

/** A user of the operating system, and what he is besides. */
export function user(id: string, more: Partial<Caller> = {}): Caller {
  return { principal: { source: "os-user", id }, ...more };
}

/** A policy that allows actions. */
export function allow(subject: string, actions: readonly string[], more: Partial<PolicyInput> = {}): PolicyInput {
  return { effect: "allow", subject, actions, ...more };
}
