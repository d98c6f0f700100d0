import type { Caller } from "./caller.ts";
import { type Principal, principalSources } from "./principal.ts";

/** Whom a policy speaks of: `<source>:<id>`, `role:NAME`, `claim:NAME=VALUE`, `group:NUMBER`, or `*` for everybody who is known. */
export const everybody = "*";

const longest = 512;
const rolePattern = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;

/** A principal as text: `<source>:<id>`. */
export function subjectOf({ source, id }: Principal): string {
  return `${source}:${id}`;
}

/** The principal that a text names; undefined when it names none. */
export function parsePrincipal(subject: string): Principal | undefined {
  const source = principalSources.find((known) => subject.startsWith(`${known}:`));
  if (source === undefined) return undefined;
  const id = subject.slice(source.length + 1);
  return id.length >= 1 && id.length <= 255 ? { source, id } : undefined;
}

/** True for a name that a role may have. */
export function isRoleName(name: string): boolean {
  return rolePattern.test(name);
}

/** What is wrong with a subject; undefined when nothing is. */
export function subjectProblem(subject: string): string | undefined {
  if (subject === everybody) return undefined;
  if (subject.length > longest || !subject.isWellFormed() || /[\p{Cc}\u2028\u2029]/u.test(subject))
    return "must have at most 512 characters and no control characters";
  if (parsePrincipal(subject) !== undefined) return undefined;
  if (subject.startsWith("role:") && isRoleName(subject.slice(5))) return undefined;
  if (/^claim:[^=]+=./u.test(subject) || /^group:(?:0|[1-9][0-9]{0,9})$/.test(subject)) return undefined;
  return `must be ${principalSources.join(":ID, ")}:ID, role:NAME, claim:NAME=VALUE, group:NUMBER or *`;
}

/** Everything that a caller is by itself, without the roles that rows give it. */
export function ownSubjects({ principal, roles = [], claims = {}, groups = [] }: Caller): string[] {
  return [
    subjectOf(principal),
    ...(principal.source === "anonymous" ? [] : [everybody]),
    ...roles.map((role) => `role:${role}`),
    ...Object.entries(claims).flatMap(([name, values]) => values.map((value) => `claim:${name}=${value}`)),
    ...groups.map((group) => `group:${String(group)}`),
  ];
}
