import { KeysteadError } from "../errors.ts";
import type { Caller } from "./caller.ts";
import { type Principal, type PrincipalSource, principalSources } from "./principal.ts";

/** What an action touches. Names and labels only; visible to policy and audit. */
export interface Resource {
  /** Key name. */
  readonly key?: string;
  readonly purpose?: string;
  readonly dataset?: string;
  /** The context of an operation: string pairs that a policy may ask for. */
  readonly context?: Readonly<Record<string, string>>;
}

/** What may be shown of a field. */
export interface Revealing {
  /** Its plaintext may be shown to whom gives a reason. */
  readonly plain: boolean;
  /** How it is shown without a reason: `***-**-{last:4}`. Absent: not at all. */
  readonly mask?: string;
}

/** Decides who may do what. Services ask it before they act, so library, server and command line can't differ. */
export interface AccessControl {
  /**
   * Returns, or resolves, when the caller may do `action` (`<noun>.<verb>`, as in the audit) to `resource`.
   * @throws KeysteadError `ACCESS_DENIED`, also for a malformed principal
   */
  authorize(caller: Caller, action: string, resource: Resource): Promise<void> | void;
  /**
   * True when the context may matter for what the caller may do: then nothing is leased to it, as nobody sees the contexts of what is done
   * with a lease. Absent: it never matters.
   */
  asksContext?(caller: Caller, action: string, resource: Resource): Promise<boolean>;
  /**
   * What of a field the caller may be shown. Absent: its plaintext to whom {@link authorize} allows `data.reveal`.
   * @throws KeysteadError `ACCESS_DENIED` when nothing may
   */
  authorizeReveal?(caller: Caller, resource: Resource): Promise<Revealing> | Revealing;
}

const sources: ReadonlySet<unknown> = new Set<PrincipalSource>(principalSources);
// Unpaired surrogates count as control characters here: they have no UTF-8 and would forge a name in a log.
const nameCharacters = /^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u;

/** True for a name of 1–255 UTF-16 units without control characters or unpaired surrogates. */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= 255 && nameCharacters.test(value);
}

/** True when a principal is what its type says, whoever made it. */
export function isPrincipal(value: unknown): value is Principal {
  if (typeof value !== "object" || value === null || !("source" in value) || !("id" in value)) return false;
  if (!sources.has(value.source) || !isName(value.id)) return false;
  if ("name" in value && value.name !== undefined && !isName(value.name)) return false;
  const actingFor = "actingFor" in value ? value.actingFor : undefined;
  return actingFor === undefined || (value.source === "engine" && isName(actingFor));
}

/**
 * The access control of a program that embeds Keystead: its own process is the boundary, so every well-formed principal may do everything.
 *
 * Still throws `ACCESS_DENIED` for a malformed principal, so that the audit never names somebody who can't be.
 */
export const allowAll: AccessControl = {
  authorize: ({ principal }) => {
    if (!isPrincipal(principal)) throw malformedPrincipal("ACCESS_DENIED");
  },
};

/** The error for a principal that nobody can be. */
export function malformedPrincipal(code: "ACCESS_DENIED" | "INVALID_ARGUMENT"): KeysteadError {
  return new KeysteadError(
    code,
    "the principal is malformed; give it a known source and an id of 1 to 255 characters without control characters",
  );
}
