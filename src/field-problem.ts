import type { z } from "zod";

/** What people call the types of JSON. */
const nouns: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "text",
};

/** What is counted of them. Of numbers, the number itself is bounded. */
const units: Readonly<Record<string, readonly [verb: string, unit: string]>> = {
  string: ["have", " characters"],
  array: ["have", " entries"],
};

/**
 * Checks what a person wrote, such as a part of a JSON file, against a schema.
 *
 * @param what - Names the whole, for problems that belong to no field.
 * @returns the data, or the first problem in plain words, beginning with the field: `keyColumns: is missing; give a list`.
 * Values are never repeated.
 */
export function checkFields<T>(
  what: string,
  schema: z.ZodType<T>,
  input: unknown,
): { readonly data: T; readonly problem?: undefined } | { readonly problem: string } {
  const { data, error } = schema.safeParse(input, { error: inPlainWords });
  if (error === undefined) return { data };
  const [issue] = error.issues;
  const path = issue?.path.map(String).join(".") ?? "";
  return { problem: `${path === "" ? what : path}: ${issue?.message ?? "is not valid"}` };
}

/** Problems of which schemas say nothing themselves. */
function inPlainWords(issue: z.core.$ZodRawIssue): string {
  if (issue.code === "invalid_type") {
    const wanted = nouns[issue.expected] ?? issue.expected;
    return issue.input === undefined ? `is missing; give ${wanted}` : `must be ${wanted}`;
  }
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  // Of a union by a member: none of its alternatives has this value there.
  if (issue.code === "invalid_union" && Array.isArray(issue.options)) return `must be one of ${issue.options.map(String).join(", ")}`;
  if (issue.code === "unrecognized_keys")
    return `has no field ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}; correct or remove it`;
  if (issue.code === "invalid_format" && issue.format === "datetime") return "must be a date and time with its zone: 2027-01-31T08:00:00Z";
  if (issue.code === "too_small") return `must ${bound("at least", issue.minimum, issue.origin)}`;
  if (issue.code === "too_big") return `must ${bound("at most", issue.maximum, issue.origin)}`;
  return "is not valid";
}

function bound(words: string, limit: number | bigint, origin: string): string {
  const [verb, unit] = units[origin] ?? ["be", ""];
  return `${verb} ${words} ${String(limit)}${unit}`;
}
