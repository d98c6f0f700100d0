import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from "libphonenumber-js/min";
import { KeysteadError } from "../errors.ts";
import { asciiDigits } from "./text-folding.ts";

/**
 * One text per telephone number: E.164, extensions left out. `country` (ISO 3166-1 alpha-2) is where numbers without a
 * country code belong; without it only international numbers are understood. What has no length that a number can have is
 * left as its digits.
 *
 * The small metadata are the right ones here: number lengths decide, not which ranges are in service, which changes every
 * few weeks and would leave a number that was stored before its range was opened under another text.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for a country that the library does not know.
 */
export function createPhoneNormaliser(country: string | undefined): (text: string) => string {
  if (country === undefined) return (text) => normalisePhone(text, undefined);
  if (!isSupportedCountry(country)) {
    throw new KeysteadError("INVALID_ARGUMENT", "phone takes a country of ISO 3166-1: write it as two capital letters, like phone(AU)");
  }
  return (text) => normalisePhone(text, country);
}

function normalisePhone(text: string, country: CountryCode | undefined): string {
  const digits = asciiDigits(text);
  return international(text.normalize("NFKC"), country) ?? international(digits, country) ?? digits;
}

function international(text: string, defaultCountry: CountryCode | undefined): string | undefined {
  const parsed = parsePhoneNumberFromString(text, { extract: false, ...(defaultCountry !== undefined && { defaultCountry }) });
  return parsed?.isPossible() === true ? parsed.number : undefined;
}
