import { actionNames, isActionName, isActionNoun } from "./actions.ts";

/** Most characters of a pattern. */
const longestPattern = 255;

/**
 * True when an action fits a pattern: `keys.rotate` itself, `keys.*` for all of a noun, `*.list` for one verb of every noun, `*` for all.
 */
export function matchesAction(pattern: string, action: string): boolean {
  if (pattern === "*" || pattern === action) return true;
  if (pattern.endsWith(".*")) return action.startsWith(pattern.slice(0, -1));
  return pattern.startsWith("*.") && action.endsWith(pattern.slice(1));
}

/** A pattern that what fits both fits, and in doubt more than that; undefined when nothing fits both. */
export function overlapOfActions(one: string, other: string): string | undefined {
  if (matchesAction(one, other)) return other;
  if (matchesAction(other, one)) return one;
  if (one.endsWith(".*") && other.startsWith("*.")) return one;
  return one.startsWith("*.") && other.endsWith(".*") ? other : undefined;
}

/** What is wrong with a pattern of actions; undefined for one that fits some action. A misspelt one would be a hole that nobody sees. */
export function actionPatternProblem(pattern: string): string | undefined {
  if (pattern.length <= 64 && actionNames.some((action) => matchesAction(pattern, action))) return undefined;
  if (isActionName(pattern)) return undefined;
  const own = /^([a-z][A-Za-z0-9-]*)\.\*$/.exec(pattern)?.[1];
  if (own !== undefined && own.length <= 60 && !isActionNoun(own)) return undefined;
  return "fits no action: give one such as data.encrypt, keys.*, *.list or *";
}

/**
 * True when a name fits a pattern: segment by segment, where one `*` in a segment is any text, and `**` as the last segment is one or
 * more segments. `acme/*` is one segment below acme, `acme/**` everything below it, `**` everything.
 */
export function matchesName(pattern: string, name: string): boolean {
  if (pattern === name || pattern === "**") return true;
  const parts = pattern.split("/");
  const segments = name.split("/");
  const open = parts.at(-1) === "**";
  if (open) parts.pop();
  if (open ? segments.length <= parts.length : segments.length !== parts.length) return false;
  return parts.every((part, index) => matchesSegment(part, segments[index] ?? ""));
}

/** What is wrong with a pattern of names; undefined when nothing is. */
export function namePatternProblem(pattern: string): string | undefined {
  if (pattern.length < 1 || pattern.length > longestPattern || !pattern.isWellFormed() || /\p{Cc}/u.test(pattern))
    return "must have 1 to 255 characters and no control characters";
  const parts = pattern.split("/");
  if (parts.includes("")) return "has an empty segment: write acme/* or acme/**";
  if (parts.slice(0, -1).includes("**")) return "has ** before its end: write it as the last segment";
  if (parts.some((part) => part !== "**" && part.indexOf("*") !== part.lastIndexOf("*"))) return "has more than one * in a segment";
  return undefined;
}

/** True when whatever fits `narrow` fits `wide`, too. */
export function coversName(wide: string, narrow: string): boolean {
  if (wide === narrow || wide === "**") return true;
  const parts = wide.split("/");
  const segments = narrow.split("/");
  const open = parts.at(-1) === "**";
  if (open) parts.pop();
  if (open ? segments.length <= parts.length : segments.length !== parts.length) return false;
  return parts.every((part, index) => coversSegment(part, segments[index] ?? "**"));
}

function matchesSegment(part: string, segment: string): boolean {
  const star = part.indexOf("*");
  if (star === -1) return part === segment;
  return segment.length >= part.length - 1 && segment.startsWith(part.slice(0, star)) && segment.endsWith(part.slice(star + 1));
}

function coversSegment(part: string, segment: string): boolean {
  if (part === segment) return true;
  if (segment === "**") return false;
  return part === "*" || (!segment.includes("*") && matchesSegment(part, segment));
}
