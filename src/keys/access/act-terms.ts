import { hash } from "node:crypto";
import { isPlainObject } from "../../arguments.ts";
import type { JsonValue } from "../../crypto/json-text.ts";

/** What a caller gave with an act, by name. Members that can't be said in JSON, such as a signal, are not what is approved of. */
export type ActTerms = object;

/**
 * Terms as JSON that is the same whenever they are: members in the order of their names, dates as instants, bytes as the SHA-256 of them.
 * What is undefined, and functions and other objects, are left out.
 */
export function describeTerms(terms: ActTerms): { readonly [name: string]: JsonValue } {
  const members = Object.entries(terms).flatMap(([name, value]): [string, JsonValue][] => {
    const described = describe(value);
    return described === undefined ? [] : [[name, described]];
  });
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function describe(value: unknown): JsonValue | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "no date" : value.toISOString();
  if (value instanceof Uint8Array) return { sha256: hash("sha256", value, "hex") };
  if (Array.isArray(value)) return value.map((each) => describe(each) ?? null);
  return isPlainObject(value) ? describeTerms(value) : undefined;
}
