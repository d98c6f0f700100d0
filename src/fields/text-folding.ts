/**
 * Folds case without regard to language: two texts that Unicode's full case folding (`CaseFolding.txt`, status C and F) makes
 * equal, come out equal; İ, ı, I and i come out equal, too.
 *
 * Steps: NFKC, lower, upper and lower case (upper case makes ß into ss, the first lower case makes ẞ into ß), final to medial
 * sigma, no dot above right after an i, NFKC. Result of a result is the result.
 */
export function foldCase(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .replaceAll("ς", "σ")
    .replace(/i\u0307+/g, "i")
    .normalize("NFKC");
}

/** Without Unicode white space at either end. */
export function trimWhiteSpace(text: string): string {
  return text.replace(/^\p{White_Space}+/u, "").replace(/(?<!\p{White_Space})\p{White_Space}+$/u, "");
}

/** NFKC, trimmed. */
export function nfkcText(text: string): string {
  return trimWhiteSpace(text.normalize("NFKC"));
}

/** {@link foldCase}, trimmed. */
export function casefoldText(text: string): string {
  return trimWhiteSpace(foldCase(text));
}

/** NFKC, without code points that nobody sees (soft hyphens, joiners, direction marks), every run of white space one space, trimmed. */
export function tidyText(text: string): string {
  return trimWhiteSpace(
    text
      .normalize("NFKC")
      .replace(/\p{Default_Ignorable_Code_Point}+/gu, "")
      .normalize("NFKC")
      .replace(/\p{White_Space}+/gu, " "),
  );
}

/** {@link tidyText} and {@link foldCase}: what people mean by "the same text". */
export function foldText(text: string): string {
  return foldCase(tidyText(text));
}

/** Decimal digits of any script as ASCII digits; everything else is left out. */
export function asciiDigits(text: string): string {
  return (text.match(/\p{Nd}/gu) ?? []).map(asciiDigit).join("");
}

/** Unicode keeps decimal digits in runs of ten that begin with zero, so the place in the run is the digit. */
function asciiDigit(digit: string): string {
  const codePoint = digit.codePointAt(0) ?? 0;
  let zero = codePoint;
  while (/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String((codePoint - zero) % 10);
}
