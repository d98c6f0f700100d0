/** Latin letters that Unicode does not decompose, by the letters that people without them write. */
const plainLetters: Readonly<Record<string, string>> = {
  ß: "ss",
  æ: "ae",
  ð: "d",
  ø: "o",
  þ: "th",
  đ: "d",
  ħ: "h",
  ı: "i",
  ĸ: "k",
  ł: "l",
  ŋ: "ng",
  œ: "oe",
  ŧ: "t",
  ƙ: "k",
  ƴ: "y",
  ǝ: "e",
  ɓ: "b",
  ɔ: "o",
  ɖ: "d",
  ɗ: "d",
  ə: "e",
  ɛ: "e",
  ɣ: "g",
  ɩ: "i",
  ɲ: "ny",
  ʋ: "v",
};

/** The Latin letters of a text as A–Z: diacritics folded by NFKD, everything else left out. */
export function latinLetters(text: string): string {
  return text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^\p{ASCII}]/gu, (character) => plainLetters[character] ?? "")
    .replace(/[^a-z]/g, "")
    .toUpperCase();
}
