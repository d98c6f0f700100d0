import { KeysteadError } from "../errors.ts";
import { normaliseEmail } from "./email-normaliser.ts";
import { versionWith } from "./library-versions.ts";
import { findByName } from "./parameterised-name.ts";
import { createPhoneNormaliser } from "./phone-normaliser.ts";
import { asciiDigits, casefoldText, foldText, nfkcText, trimWhiteSpace } from "./text-folding.ts";

/** Makes one text of all the ways to write the same value, before a blind index sees it. */
export interface Normaliser {
  /** Name with its argument, as it goes into the derivation of the index key: `phone(AU)`. */
  readonly name: string;
  /** Version of what it does, with that of the library behind it. */
  readonly version: string;
  /**
   * The normalised text, never empty; `undefined` when nothing is left to index. A result normalises to itself.
   * @throws KeysteadError `INVALID_ARGUMENT` for a lone surrogate.
   */
  normalise(text: string): string | undefined;
}

interface NormaliserFamily {
  readonly version: string;
  /** What it does, for people. */
  readonly description: string;
  /** What its argument is; without one it takes none. */
  readonly argument?: string;
  create(argument: string | undefined): (text: string) => string;
}

/**
 * The normalisers. A row that comes to give other results gets a new version number here, and indexes get a new generation.
 * All but `none` and `trim`, which keep every code point, make canonically equivalent texts equal.
 */
export const normalisers = {
  none: { version: "1", description: "the text as it is", create: () => (text) => text },
  trim: { version: "1", description: "without white space at either end", create: () => trimWhiteSpace },
  nfkc: { version: "1", description: "Unicode NFKC, trimmed; case kept", create: () => nfkcText },
  casefold: { version: "1", description: "Unicode NFKC, case folded, trimmed; white space inside kept", create: () => casefoldText },
  text: {
    version: "1",
    description: "Unicode NFKC, white space collapsed, invisible characters removed, case folded",
    create: () => foldText,
  },
  digits: { version: "1", description: "decimal digits of any script, as ASCII", create: () => asciiDigits },
  email: {
    version: versionWith(1, "validator"),
    description: "e-mail address: local part with its case folded, domain by IDNA; anything else as text",
    create: () => normaliseEmail,
  },
  phone: {
    version: versionWith(1, "libphonenumber-js"),
    description: "telephone number in E.164; anything else as digits",
    argument: "country of numbers without a country code, like AU",
    create: createPhoneNormaliser,
  },
} as const satisfies Readonly<Record<string, NormaliserFamily>>;

const families: Readonly<Record<string, NormaliserFamily>> = normalisers;

/**
 * A normaliser by its name: `none`, `trim`, `nfkc`, `casefold`, `text`, `digits`, `email`, `phone` or `phone(AU)`.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for an unknown name or argument.
 */
export function findNormaliser(name: string): Normaliser {
  const { row, argument } = findByName(families, name, "normaliser");
  if (argument !== undefined && row.argument === undefined) {
    throw new KeysteadError("INVALID_ARGUMENT", "this normaliser takes no argument: write its name alone");
  }
  const rewrite = row.create(argument);
  return {
    name,
    version: row.version,
    normalise: (text) => {
      if (!text.isWellFormed()) {
        throw new KeysteadError("INVALID_ARGUMENT", "text to index contains a lone surrogate: pass well-formed text");
      }
      const normalised = rewrite(text);
      return normalised === "" ? undefined : normalised;
    },
  };
}
