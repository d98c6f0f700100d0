const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openObject = 0x7b;
const closeObject = 0x7d;
const openList = 0x5b;
const closeList = 0x5d;

/**
 * True when an object in a JSON text has a name twice. One reader takes the first of them and another the last, so that what is checked and
 * what is used may differ.
 * @param text - must be JSON: what is not is not looked for
 */
export function hasDuplicateNames(text: string): boolean {
  // Of each open object the names so far; undefined for a list.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === openObject) open.push(new Set());
    else if (unit === openList) open.push(undefined);
    else if (unit === closeObject || unit === closeList) open.pop();
    else if (unit === quote) {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names !== undefined && isName(text, end + 1)) {
        const written = text.slice(at, end + 1);
        // The same name may be escaped in several ways.
        const name = written.includes("\\") ? String(JSON.parse(written)) : written.slice(1, -1);
        if (names.has(name)) return true;
        names.add(name);
      }
      at = end;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}

/** True when a colon follows: only names have one. */
function isName(text: string, start: number): boolean {
  let at = start;
  while (at < text.length && " \t\r\n".includes(text.charAt(at))) at++;
  return text.charCodeAt(at) === colon;
}
