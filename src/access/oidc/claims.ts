import { isName } from "../access-control.ts";
import { refused } from "./refused.ts";

/** Where a claim is: names of objects in objects. */
export type ClaimPath = readonly string[];

/** Claims with their values, by name. */
export type Claims = Readonly<Record<string, readonly string[]>>;

const maxValues = 500;
/** Claims of OAuth that are lists written as one text. */
const spaced: ReadonlySet<string> = new Set(["scope", "scp"]);

/** What policies see of a token unless the settings say. */
export function defaultClaims(audiences: readonly string[]): ClaimPath[] {
  const ofClients = audiences.filter((audience) => !audience.includes("=")).map((audience) => ["resource_access", audience, "roles"]);
  return [["realm_access", "roles"], ...ofClients, ["groups"], ["roles"], ["scope"], ["scp"], ["azp"], ["client_id"]];
}

/**
 * The claims at these paths, each under its path with dots and as a list of texts. Numbers and truth values become text. What is absent,
 * null or empty is left out.
 * @throws KeysteadError `UNAUTHENTICATED` when there are more than 500 values, one that is longer than 255 characters or has control
 * characters, or one that is no text: a policy that denies by such a claim would not see it
 */
export function claimsAt(payload: unknown, paths: readonly ClaimPath[]): Claims {
  const claims = paths.map((path) => [path.join("."), valuesAt(payload, path)] as const).filter(([, values]) => values.length > 0);
  const count = claims.reduce((sum, [, values]) => sum + values.length, 0);
  if (count > maxValues) throw refused(`the token has more than ${String(maxValues)} values in claims that policies see`);
  return Object.fromEntries(claims);
}

/** The texts at a path. */
export function valuesAt(payload: unknown, path: ClaimPath): readonly string[] {
  const found = path.reduce<unknown>(memberOf, payload);
  if (found === undefined || found === null) return [];
  const whole: readonly unknown[] = Array.isArray(found) ? found : [found];
  const list = typeof found === "string" && spaced.has(path.join(".")) ? found.split(" ") : whole;
  return Object.freeze(list.filter((value) => value !== "").map(textOf(path)));
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

function textOf(path: ClaimPath): (value: unknown) => string {
  return (value) => {
    const text = typeof value === "number" || typeof value === "boolean" ? String(value) : value;
    if (isName(text)) return text;
    throw refused(`the claim ${path.join(".")} has a value that is no text of 1 to 255 characters without control characters`);
  };
}
