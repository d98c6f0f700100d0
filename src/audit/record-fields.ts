import type { AuditRecordView } from "./newest-records.ts";

/** A text member of what may be an object; undefined otherwise. */
export function memberOf(value: unknown, name: string): string | undefined {
  const member: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  return typeof member === "string" ? member : undefined;
}

/** Who acted, as `<source>:<id>`; undefined when the record does not say. */
export function principalOf({ principal }: AuditRecordView): string | undefined {
  const [source, id] = [memberOf(principal, "source"), memberOf(principal, "id")];
  return source === undefined || id === undefined ? undefined : `${source}:${id}`;
}
