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
export function parseJson(bytes: Uint8Array, limits: JsonLimits, what = "the body"): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new KeysteadError("INVALID_ARGUMENT", `${what} is not UTF-8; send it so`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error repeats what was sent.
    throw new KeysteadError("INVALID_ARGUMENT", `${what} is not JSON; correct it`);
  }
  const contents = new Contents(limits, what);
  contents.take(value, 0);
  if (!isPlain(text, value, contents) && hasDuplicateNames(text))
    throw new KeysteadError("INVALID_ARGUMENT", `${what} names a field twice in one object; name each once`);
  return value;
}

type JsonLimits = Pick<ServerLimits, "jsonDepth" | "jsonValues">;

/**
 * What a value is made of. A class, as functions that are made for each body lose their optimised code whenever old garbage is collected, and
 * are compiled again.
 */
class Contents {
  names = 0;
  texts = 0;
  /** Characters that it has at least as JSON: all but spaces and numbers, which can be written in several ways. */
  characters = 0;
  #values = 0;
  readonly #limits: JsonLimits;
  readonly #what: string;

  constructor(limits: JsonLimits, what: string) {
    this.#limits = limits;
    this.#what = what;
  }

  /** Counts a value. Refuses before it goes deeper than it may: deep JSON must not exhaust the stack. @throws KeysteadError as {@link parseJson} */
  take(value: unknown, depth: number): void {
    const { jsonValues } = this.#limits;
    if (++this.#values > jsonValues)
      throw new KeysteadError("TOO_LARGE", `${this.#what} holds more than ${jsonValues} values; send fewer at once`);
    if (typeof value === "string") {
      this.texts++;
      this.characters += value.length + '""'.length;
    } else if (typeof value === "object" && value !== null) this.#takeMembers(value, depth);
    else if (typeof value !== "number") this.characters += String(value).length;
  }

  #takeMembers(value: object, depth: number): void {
    const { jsonDepth } = this.#limits;
    if (depth === jsonDepth)
      throw new KeysteadError("TOO_LARGE", `${this.#what} is nested deeper than ${jsonDepth} levels; send it flatter`);
    let separators = -1;
    if (Array.isArray(value))
      for (const child of value) {
        separators++;
        this.take(child, depth + 1);
      }
    else
      for (const name in value) {
        const child: unknown = Reflect.get(value, name);
        if (isPoison(name, child))
          throw new KeysteadError("INVALID_ARGUMENT", `${this.#what} has a field that names a prototype; remove it`);
        this.names++;
        this.characters += name.length + '"":'.length;
        separators++;
        this.take(child, depth + 1);
      }
    this.characters += "{}".length + Math.max(0, separators);
  }
}

/**
 * True when surely no object of a text names anything twice: what `JSON.parse` dropped would make the text longer than what is left, or, where
 * there are spaces, have quotation marks beside the two of each name and each string. Strings with escapes may hold some themselves; then the
 * text is compared with what comes back.
 */
function isPlain(text: string, value: unknown, { names, texts, characters }: Contents): boolean {
  if (text.includes("\\")) return JSON.stringify(value) === text;
  return text.length === characters || quotes(text) === 2 * (names + texts);
}

function quotes(text: string): number {
  let found = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) found++;
  return found;
}

/** Names by which careless copying changes the prototype of everything. */
function isPoison(name: string, value: unknown): boolean {
  if (name === "__proto__") return true;
  return name === "constructor" && typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}
