import { decodeUtf8 } from "../crypto/text.ts";
import { KeysteadError } from "../errors.ts";
import { hasDuplicateNames } from "./duplicate-names.ts";
import type { ServerLimits } from "./settings.ts";

/**
 * Reads JSON of which nothing is known.
 * @param what - names it in messages
 * @throws KeysteadError `INVALID_ARGUMENT` for what is not UTF-8 or not JSON, names a property twice or names a prototype; `TOO_LARGE`
 *   for what is nested too deep or holds too much
 */
export function parseJson(bytes: Uint8Array, limits: Pick<ServerLimits, "jsonDepth" | "jsonValues">, what = "the body"): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new KeysteadError("INVALID_ARGUMENT", `${what} is not UTF-8; send it so`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error repeats what was sent.
    throw new KeysteadError("INVALID_ARGUMENT", `${what} is not JSON; correct it`);
  }
  assertBounded(value, limits, what);
  // What comes back the same named nothing twice: everybody's JSON but that of people, who like spaces.
  if (JSON.stringify(value) !== text && hasDuplicateNames(text))
    throw new KeysteadError("INVALID_ARGUMENT", `${what} names a field twice in one object; name each once`);
  return value;
}

/** Walks level by level: deep JSON must not exhaust the stack. */
function assertBounded(root: unknown, { jsonDepth, jsonValues }: Pick<ServerLimits, "jsonDepth" | "jsonValues">, what: string): void {
  let count = 1;
  let level: object[] = typeof root === "object" && root !== null ? [root] : [];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > jsonDepth) throw new KeysteadError("TOO_LARGE", `${what} is nested deeper than ${jsonDepth} levels; send it flatter`);
    const next: object[] = [];
    for (const value of level) {
      const isList = Array.isArray(value);
      for (const [name, child] of entriesOf(value)) {
        if (!isList && isPoison(name, child))
          throw new KeysteadError("INVALID_ARGUMENT", `${what} has a field that names a prototype; remove it`);
        if (++count > jsonValues) throw new KeysteadError("TOO_LARGE", `${what} holds more than ${jsonValues} values; send fewer at once`);
        if (typeof child === "object" && child !== null) next.push(child);
      }
    }
    level = next;
  }
}

function entriesOf(value: object): [string, unknown][] {
  return Object.entries(value);
}

/** Names by which careless copying changes the prototype of everything. */
function isPoison(name: string, value: unknown): boolean {
  if (name === "__proto__") return true;
  return name === "constructor" && typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}
