import { KeysteadError } from "../errors.ts";

/** Where the characters that a mask shows come from. */
type End = "first" | "last";

/** How a field is shown to whom its plaintext is not: characters as they are, and some of the beginning and of the end of the value. */
export interface Mask {
  readonly parts: readonly (string | { readonly end: End })[];
  /** Characters that it shows of each end. */
  readonly shown: Readonly<Record<End, number>>;
}

/** Most characters of a mask. */
const longestMask = 64;
const mostShown = 16;
const grammar = `is text with at most one {first:N} and one {last:N}, N from 1 to ${String(mostShown)}, such as ***-**-{last:4}`;
const run = /(\{(?:first|last):(?:[1-9]|1[0-6])\})/;
const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** What is wrong with a mask; undefined when nothing is. */
export function maskProblem(text: string): string | undefined {
  if (text.length < 1 || text.length > longestMask || !text.isWellFormed() || /\p{Cc}/u.test(text))
    return `must have 1 to ${String(longestMask)} characters and no control characters: a mask ${grammar}`;
  const pieces = text.split(run);
  const ends = pieces.map(endOf).filter((end) => end !== undefined);
  const isLiteral = pieces.every((piece) => endOf(piece) !== undefined || !/[{}]/.test(piece));
  return isLiteral && new Set(ends).size === ends.length ? undefined : `is malformed: a mask ${grammar}`;
}

/**
 * Reads a mask.
 * @throws KeysteadError `INVALID_ARGUMENT`
 * @example
 * applyMask(parseMask("***-**-{last:4}"), "078-05-1120"); // "***-**-1120"
 */
export function parseMask(text: string): Mask {
  const problem = maskProblem(text);
  if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `the mask ${problem}`);
  const shown = { first: 0, last: 0 };
  const parts = text.split(run).map((piece) => {
    const end = endOf(piece);
    if (end !== undefined) shown[end] = Number.parseInt(piece.slice(end.length + 2), 10);
    return end === undefined ? piece : { end };
  });
  return { parts, shown };
}

/** Characters that a mask shows of a value at most. */
export function countShown({ shown }: Mask): number {
  return shown.first + shown.last;
}

/**
 * What a mask shows of a value. A value of fewer than twice the characters that the mask shows is not shown at all: `*` stand for them.
 * Characters are those that people see (grapheme clusters); so neither their number nor anything else tells how long the value is.
 */
export function applyMask(mask: Mask, value: string): string {
  const isShown = isLongEnough(value, 2 * countShown(mask));
  return mask.parts
    .map((part) => {
      if (typeof part === "string") return part;
      const count = mask.shown[part.end];
      return isShown ? ends[part.end](value, count) : "*".repeat(count);
    })
    .join("");
}

/** True when whoever sees values by `wide` sees nothing more of them by `narrow`. */
export function coversMask(wide: Mask, narrow: Mask): boolean {
  return countShown(narrow) === 0 || (wide.shown.first === narrow.shown.first && wide.shown.last === narrow.shown.last);
}

function endOf(piece: string): End | undefined {
  if (!run.test(piece)) return undefined;
  return piece.startsWith("{first") ? "first" : "last";
}

/** The characters at the ends of a value that has as many; the rest of it is not looked at. */
const ends: Readonly<Record<End, (value: string, count: number) => string>> = {
  first: (value, count) => {
    let until = 0;
    for (const { segment } of takeClusters(value, count)) until += segment.length;
    return value.slice(0, until);
  },
  last: (value, count) => {
    const segments = segmenter.segment(value);
    let from = value.length;
    for (let taken = 0; taken < count; taken += 1) from = segments.containing(from - 1)?.index ?? 0;
    return value.slice(from);
  },
};

function isLongEnough(value: string, count: number): boolean {
  let found = 0;
  for (const _ of takeClusters(value, count)) found += 1;
  return found === count;
}

function* takeClusters(value: string, count: number): Generator<Intl.SegmentData> {
  let left = count;
  if (left === 0) return;
  for (const cluster of segmenter.segment(value)) {
    yield cluster;
    left -= 1;
    if (left === 0) return;
  }
}
