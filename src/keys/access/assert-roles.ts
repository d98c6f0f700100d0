import { isRoleName } from "../../access/subject.ts";
import { KeysteadError } from "../../errors.ts";
import type { AccessSnapshot } from "./access-snapshot.ts";

/** Most roles that somebody is given by one row. */
const mostRoles = 100;

/** Roles that somebody is given. A misspelt one would be a right that is missed later. @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_ROLE` */
export function assertRoles(snapshot: AccessSnapshot, roles: readonly string[]): void {
  if (roles.length > mostRoles)
    throw new KeysteadError("INVALID_ARGUMENT", `${String(mostRoles)} roles at most; make one that has them all`);
  const unknown = roles.find((role) => !snapshot.hasRole(role));
  if (unknown === undefined) return;
  const named = isRoleName(unknown) ? `is named ${unknown}` : "has this name";
  throw new KeysteadError("UNKNOWN_ROLE", `no role ${named}: \`keystead roles list\` shows them, and a policy for role:NAME makes another`);
}
