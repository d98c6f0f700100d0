import { KeysteadError } from "../errors.ts";

const mostPairs = 100;

/**
 * The query of an address: texts by name, lists of texts for names that come several times.
 * @throws KeysteadError `INVALID_ARGUMENT` for what is not percent-encoded UTF-8, `TOO_LARGE` for more than 100 pairs
 */
export function parseQuery(target: string): Readonly<Record<string, string | readonly string[]>> {
  const start = target.indexOf("?");
  if (start === -1) return {};
  const found = new Map<string, string | readonly string[]>();
  const pairs = target.slice(start + 1).split("&");
  if (pairs.length > mostPairs) throw new KeysteadError("TOO_LARGE", `the address has more than ${mostPairs} parameters; send fewer`);
  for (const pair of pairs) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? "" : decode(pair.slice(equals + 1));
    const earlier = found.get(name);
    found.set(name, earlier === undefined ? value : [...(typeof earlier === "string" ? [earlier] : earlier), value]);
  }
  return Object.fromEntries(found);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new KeysteadError("INVALID_ARGUMENT", "the parameters of the address are not percent-encoded UTF-8; encode them so", { cause });
  }
}
