import { doubleMetaphone } from "double-metaphone";
import { latinLetters } from "./latin-letters.ts";
import { firstNameWord } from "./name-words.ts";

/** Codes the sound of a word in A–Z. No codes: the word has none. The first is the one to store. */
export type PhoneticCoder = (letters: string) => readonly string[];

const soundexDigits = new Map(
  Object.entries({ BFPV: "1", CGJKQSXZ: "2", DT: "3", L: "4", MN: "5", R: "6" }).flatMap(([letters, digit]) =>
    Array.from(letters, (letter) => [letter, digit] as const),
  ),
);

/** What no code begins with, so that text without Latin letters never meets a code. */
const uncodedMark = "=";

/**
 * American Soundex as the National Archives describe it ("The Soundex Indexing System"): the first letter and three digits.
 * Neighbours of one digit count once, also at the start and across H and W; across a vowel (or Y) they count twice.
 *
 * @param letters - A–Z.
 */
export function soundex(letters: string): readonly string[] {
  let code = letters.slice(0, 1);
  let previous = soundexDigits.get(code);
  for (const letter of letters.slice(1)) {
    const digit = soundexDigits.get(letter);
    if (digit !== undefined && digit !== previous) code += digit;
    if (letter !== "H" && letter !== "W") previous = digit;
  }
  return code === "" ? [] : [code.slice(0, 4).padEnd(4, "0")];
}

/**
 * Double Metaphone (Lawrence Philips, 2000) by the library `double-metaphone`: the primary code, then the secondary one where
 * it differs. Not cut to four characters.
 *
 * @param letters - A–Z.
 */
export function metaphone(letters: string): readonly string[] {
  return [...new Set(doubleMetaphone(letters))].filter((code) => code !== "");
}

/**
 * What a phonetic index stores of a name: the first code of its first word, particles joined on ("van der Berg", "Vanderberg":
 * V536; "O'Brien", "O Brien": O165; "Maria  Elena": as "Maria"). A word without Latin letters, or without a sound, is stored
 * as itself, case folded, after `=`. `undefined`: nothing to index.
 */
export function storedPhoneticCode(coder: PhoneticCoder, text: string): string | undefined {
  const word = firstNameWord(text);
  return word === undefined ? undefined : codesOf(coder, word.whole)[0];
}

/**
 * What a search looks for: every code of the first word, with its particles and without. So "van der Berg" finds "Berg"
 * as well, and "Schmidt" finds "Smith" where their codes meet; the other way round only what is stored counts.
 */
export function soughtPhoneticCodes(coder: PhoneticCoder, text: string): readonly string[] {
  const word = firstNameWord(text);
  return word === undefined ? [] : [...new Set([word.whole, word.bare].flatMap((part) => codesOf(coder, part)))];
}

function codesOf(coder: PhoneticCoder, word: string): readonly string[] {
  const codes = coder(latinLetters(word));
  return codes.length > 0 ? codes : [`${uncodedMark}${word}`];
}
