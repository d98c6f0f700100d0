import { readCredentialScope } from "../../access/credential-scope.ts";
import type { AccessScope } from "../../access/caller.ts";
import { type Policy, policyEffects, readScope } from "../../access/policy.ts";
import { parseJson } from "../../crypto/json-text.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoredRecord } from "../../store/tables.ts";

/** A token as its row says it. */
export interface TokenRecord {
  readonly id: string;
  readonly hash: Uint8Array;
  readonly name: string;
  readonly roles: readonly string[];
  readonly scope: AccessScope;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
  readonly revokedAt: number | null;
  readonly revokedBy: string | null;
}

/** What a row says about a principal. */
export interface PrincipalRecord {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly disabled: boolean;
  readonly description: string;
}

/** Reads a policy. @throws KeysteadError `STORE_SCHEMA_NEWER` for one that this version can't judge by */
export function readPolicy({ id, effect, subject, actions, scope, description }: StoredRecord<"policies">): Policy {
  const known = policyEffects.find((name) => name === effect);
  const where = readScope(parseJson(scope));
  const patterns = readStrings(actions);
  if (known === undefined || where === undefined || patterns === undefined) throw unreadable(`policy ${id}`);
  return { id, effect: known, subject, actions: patterns, scope: where, description };
}

/** Reads what a row says about a principal. @throws KeysteadError `STORE_SCHEMA_NEWER` */
export function readPrincipal({ subject, roles, disabled, description }: StoredRecord<"principals">): PrincipalRecord {
  const names = readStrings(roles);
  if (names === undefined) throw unreadable("the row of a principal");
  return { subject, roles: names, disabled: disabled !== 0, description };
}

/** Reads a token. @throws KeysteadError `STORE_SCHEMA_NEWER` */
export function readToken({ roles, scope, rowVersion: _, ...row }: StoredRecord<"tokens">): TokenRecord {
  const names = readStrings(roles);
  const where = readCredentialScope(parseJson(scope));
  if (names === undefined || where === undefined) throw unreadable(`token ${row.id}`);
  return { ...row, roles: names, scope: where };
}

function readStrings(json: string): readonly string[] | undefined {
  const parsed = parseJson(json);
  if (!Array.isArray(parsed)) return undefined;
  const texts = parsed.filter((entry) => typeof entry === "string");
  return texts.length === parsed.length ? texts : undefined;
}

/** Judging by the rest would be judging wrongly: what can't be read may deny. */
function unreadable(what: string): KeysteadError {
  return new KeysteadError("STORE_SCHEMA_NEWER", `${what} says something that this version does not know: upgrade Keystead`);
}
