import { KeysteadError } from "../errors.ts";
import { versionWith } from "./library-versions.ts";
import { findByName } from "./parameterised-name.ts";
import { metaphone, type PhoneticCoder, soughtPhoneticCodes, soundex, storedPhoneticCode } from "./phonetic.ts";

/** What of a row's normalised values a blind index stores, and what a search looks for. */
export interface IndexKind {
  /** Name with its argument, as it goes into the derivation of the index key: `last(4)`. */
  readonly name: string;
  /** Version of its own rules and library, where it has any. */
  readonly version: string | undefined;
  /** Whether it takes the values of one column, or of two and more. */
  readonly columns: "one" | "several";
  /** What the token is made of, as many as there are columns; `undefined` when the row gets no token. */
  values(normalised: readonly string[]): readonly string[] | undefined;
  /**
   * The alternatives that answer a search, each of the form of {@link values}.
   * @throws KeysteadError `INVALID_ARGUMENT` when the search is for less than the index holds.
   */
  queries(normalised: readonly string[]): readonly (readonly string[])[];
}

interface IndexKindFamily {
  readonly version?: string;
  readonly columns: IndexKind["columns"];
  /** What it finds, for people. */
  readonly description: string;
  /** What its argument is; with one it is needed. */
  readonly argument?: string;
  /** The name with an argument, where it needs one. */
  readonly example?: string;
  create(argument: string | undefined): Pick<IndexKind, "values" | "queries">;
}

/** The most characters that `last(n)` takes. */
const maxLastCharacters = 64;

/** The kinds of blind index. The name with its argument separates the tokens of one kind from those of all others. */
export const indexKinds = {
  exact: { columns: "one", description: "rows with the same normalised value", create: () => whole },
  last: {
    columns: "one",
    description: "rows whose value ends in the same n characters",
    argument: "number of characters",
    example: "last(4)",
    create: lastCharacters,
  },
  soundex: {
    version: "soundex@1",
    columns: "one",
    description: "names of the same American Soundex code",
    create: () => phonetic(soundex),
  },
  metaphone: {
    version: versionWith(1, "double-metaphone"),
    columns: "one",
    description: "names whose Double Metaphone codes meet",
    create: () => phonetic(metaphone),
  },
  compound: { columns: "several", description: "rows with the same normalised values in all columns", create: () => whole },
} as const satisfies Readonly<Record<string, IndexKindFamily>>;

const families: Readonly<Record<string, IndexKindFamily>> = indexKinds;

const whole: Pick<IndexKind, "values" | "queries"> = {
  values: (normalised) => normalised,
  queries: (normalised) => [normalised],
};

/**
 * A kind of index by its name: `exact`, `last(4)`, `soundex`, `metaphone`, `compound`.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for an unknown name or argument.
 */
export function findIndexKind(name: string): IndexKind {
  const { row, argument } = findByName(families, name, "kind of index");
  if (argument !== undefined && row.argument === undefined) throw invalid("this kind of index takes no argument: write its name alone");
  return { name, version: row.version, columns: row.columns, ...row.create(argument) };
}

/**
 * The last n characters, counted as code points of the normalised value. A shorter value has no last n characters: it gets no
 * token, because its token would be that of the whole value, and a search for less than n is refused rather than answered
 * with nothing.
 */
function lastCharacters(argument: string | undefined): Pick<IndexKind, "values" | "queries"> {
  const count = /^[1-9][0-9]?$/.test(argument ?? "") ? Number(argument) : 0;
  if (count < 1 || count > maxLastCharacters) {
    throw invalid(`last takes a number of characters from 1 to ${maxLastCharacters}: write it like last(4)`);
  }
  const values = (normalised: readonly string[]): readonly string[] | undefined => {
    const ends = normalised.map((value) => lastOf(value, count));
    return ends.every((end) => end !== undefined) ? ends : undefined;
  };
  return {
    values,
    queries: (normalised) => {
      const ends = values(normalised);
      if (ends === undefined) throw invalid(`this index holds the last ${count} characters: search for at least as many`);
      return [ends];
    },
  };
}

function lastOf(value: string, count: number): string | undefined {
  // A code point is one or two code units, so the end of the text is enough to look at.
  const characters = Array.from(value.slice(-2 * count));
  return characters.length < count ? undefined : characters.slice(-count).join("");
}

function phonetic(coder: PhoneticCoder): Pick<IndexKind, "values" | "queries"> {
  return {
    values: (normalised) => {
      const codes = normalised.map((value) => storedPhoneticCode(coder, value));
      return codes.every((code) => code !== undefined) ? codes : undefined;
    },
    queries: ([value]) => (value === undefined ? [] : soughtPhoneticCodes(coder, value).map((code) => [code])),
  };
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
