import type { Principal } from "./principal.ts";

/** The request by which a call came, for the audit. */
export interface RequestOrigin {
  /** Id of the request: 1–128 characters. */
  readonly id: string;
  /** Address that it came from. */
  readonly address?: string;
}

/** What a credential is good for at most, whatever policies allow to its principal. What is absent is not bounded. */
export interface AccessScope {
  /** Patterns of actions: `data.encrypt`, `keys.*`. */
  readonly actions?: readonly string[];
  /** Patterns of key names: `acme/*`, `acme/**`. */
  readonly keys?: readonly string[];
  readonly purposes?: readonly string[];
}

/** Who calls, and with what: the principal, and all that policies may go by. */
export interface Caller {
  readonly principal: Principal;
  /** Roles that its credential carries. */
  readonly roles?: readonly string[];
  /** Claims of its token, each with its values, by name: `realm_access.roles`. */
  readonly claims?: Readonly<Record<string, readonly string[]>>;
  /** Numbers of the groups of an operating-system user. */
  readonly groups?: readonly number[];
  readonly scope?: AccessScope;
  /** Present for served calls: then each of them is recorded, also one that only reads. */
  readonly request?: RequestOrigin;
}
