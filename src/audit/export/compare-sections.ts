import type { ChainPosition } from "../hash-chain.ts";
import type { Section } from "./lines.ts";

/** The first record of a writer that is not as it was signed. */
export interface SectionDifference {
  readonly writer: string;
  readonly sequence: number;
  readonly problem: string;
}

function isSame(one: ChainPosition, other: ChainPosition): boolean {
  return one.count === other.count && one.head.equals(other.head);
}

function compare({ from, to }: Section, signed: Section): SectionDifference | undefined {
  const { writer } = from;
  if (!isSame(from, signed.from)) {
    const sequence = Math.min(from.count, signed.from.count) + 1;
    return { writer, sequence, problem: `records were exported from ${String(signed.from.count + 1)} on, and begin otherwise here` };
  }
  if (to.count < signed.to.count)
    return { writer, sequence: to.count + 1, problem: `is missing; records were exported up to ${String(signed.to.count)}` };
  if (to.count > signed.to.count) return { writer, sequence: signed.to.count + 1, problem: "was inserted: it was not exported" };
  return isSame(to, signed.to)
    ? undefined
    : { writer, sequence: to.count, problem: "is not what was exported: it, or records before it, were altered" };
}

/** Holds the sections of an export against those that were signed. */
export function* compareSections(found: readonly Section[], signed: readonly Section[]): Generator<SectionDifference> {
  const open = new Map(signed.map((section) => [section.from.writer, section]));
  for (const section of found) {
    const { writer, count } = section.from;
    const expected = open.get(writer);
    open.delete(writer);
    const difference =
      expected === undefined
        ? { writer, sequence: count + 1, problem: "was inserted: its writer was not exported" }
        : compare(section, expected);
    if (difference !== undefined) yield difference;
  }
  for (const { from, to } of open.values()) {
    yield { writer: from.writer, sequence: from.count + 1, problem: `is missing, with all up to ${String(to.count)}` };
  }
}
