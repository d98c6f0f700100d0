import { foldText } from "./text-folding.ts";

/** Prefixes of family names that are written apart or joined, or left out, from one document to the next. */
const particles: ReadonlySet<string> = new Set(
  "al da das de del della den der di do dos du el la las le los ten ter van von zu".split(" "),
);

/** Prefixes that are written apart or joined, but never left out: "Mc and Mac are not considered prefixes" (National Archives). */
const inseparable: ReadonlySet<string> = new Set("abu bin bint ibn mac mc o saint st".split(" "));

/** The part of a name that a phonetic index codes. */
export interface NameWord {
  /** First word, with the prefixes before it joined on: `vanderberg` of "van der Berg", `macdonald` of "Mac Donald". */
  readonly whole: string;
  /** The same without particles that people leave out: `berg`, `macdonald`. */
  readonly bare: string;
}

/**
 * The first word of a name, case folded. A word is a run of letters and marks; apostrophes inside it do not end it, hyphens
 * and other punctuation do. Text without any letter is taken whole; `undefined` when there is nothing at all.
 */
export function firstNameWord(text: string): NameWord | undefined {
  const folded = foldText(text.replace(/['’‘`´ʼʻʹ＇]/gu, ""));
  if (folded === "") return undefined;
  const words = folded.match(/\p{L}[\p{L}\p{M}]*/gu) ?? [folded];
  const main = words.findIndex((word) => !particles.has(word) && !inseparable.has(word));
  // A name of prefixes only, such as the given name "Mac", is a name after all.
  const name = main === -1 ? words : words.slice(0, main + 1);
  const unprefixed = main === -1 ? name : name.slice(name.findIndex((word) => !particles.has(word)));
  return { whole: name.join(""), bare: unprefixed.join("") };
}
