/** What a column is about, by its name. */
export type Purpose = "pii" | "financial" | "medical";

/** In this order; the first whose words the name has. */
const purposeWords: readonly { readonly purpose: Purpose; readonly words: ReadonlySet<string> }[] = [
  {
    purpose: "medical",
    words: wordSet(
      "allergy allergies blood bmi condition diagnose diagnoses diagnosis diagnostic disability disease doctor drug drugs health " +
        "hiv hospital icd icd10 illness medical medication medicine patient pregnancy pregnant prescription symptom symptoms therapy treatment vaccine",
    ),
  },
  {
    purpose: "financial",
    words: wordSet(
      "account amount balance bank benefit bic budget card cost credit cvv debit debt expense finance financial iban income invoice " +
        "konto loan money pay payment pension price rent salary sort swift tax turnover wage wages wealth",
    ),
  },
];

/** Kinds of identifiers that people tell by their last characters, the most telling first. */
const numberWords: readonly ReadonlySet<string>[] = [
  wordSet("account card iban konto"),
  wordSet("cell mobile phone tel telephone"),
  wordSet("id ident identity insurance license nid nin passport sec security sin soc social ssn tax"),
];

/** Words for the names of people: family names first, they are what people search for. */
const nameWords: readonly ReadonlySet<string>[] = [
  wordSet("apellido apellidos family familyname last lastname nachname nom surname"),
  wordSet("fullname name nombre person"),
  wordSet("first firstname forename given givenname prenom vorname"),
];

/** The purpose that a column's name speaks of; personal data when it says nothing. */
export function guessPurpose(name: string): Purpose {
  const words = wordsOf(name);
  return purposeWords.find((row) => words.some((word) => row.words.has(word)))?.purpose ?? "pii";
}

/** How much a column's name speaks of a number that identifies: 0 for not at all. */
export function numberRank(name: string): number {
  return rankOf(name, numberWords);
}

/** How much a column's name speaks of people's names: 0 for not at all. */
export function nameRank(name: string): number {
  return rankOf(name, nameWords);
}

/** True for a column of telephone numbers, by its name. */
export function isPhoneName(name: string): boolean {
  const [, phones] = numberWords;
  return wordsOf(name).some((word) => phones?.has(word) === true);
}

function rankOf(name: string, lists: readonly ReadonlySet<string>[]): number {
  const words = wordsOf(name);
  const at = lists.findIndex((list) => words.some((word) => list.has(word)));
  return at === -1 ? 0 : lists.length - at;
}

/** The words of `bloodType`, `Blood-Type` and `BLOOD_TYPE`. */
function wordsOf(name: string): string[] {
  return name
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replace(/(?<=\p{Ll})(?=\p{Lu})/gu, " ")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
}

function wordSet(words: string): ReadonlySet<string> {
  return new Set(words.split(" "));
}
