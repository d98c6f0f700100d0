import { RandomSequence } from "./random-sequence.ts";
import { latinEndings, latinNames, latinRoots, otherNames } from "./sample-names.ts";
import type { SampleRow } from "./table-source.ts";

/** Columns of {@link samplePersons}, the key first. */
export const personColumns = [
  { name: "id", type: "INTEGER", protect: false },
  { name: "given_name", type: "TEXT", protect: true },
  { name: "surname", type: "TEXT", protect: true },
  { name: "email", type: "TEXT", protect: true },
  { name: "phone", type: "TEXT", protect: true },
  { name: "national_id", type: "TEXT", protect: true },
  { name: "bank_account", type: "TEXT", protect: true },
  { name: "income", type: "INTEGER", protect: true },
  { name: "diagnosis", type: "TEXT", protect: true },
  { name: "district", type: "TEXT", protect: false },
] as const;

/** A made-up person. `null` is a gap, as registries have them. */
export interface Person {
  readonly id: bigint;
  readonly given: string | null;
  readonly family: string | null;
  readonly email: string | null;
  readonly phone: string | null;
  readonly nationalId: string | null;
  readonly account: string | null;
  readonly income: bigint | null;
  readonly diagnosis: string | null;
  readonly district: string;
}

const seed = 7391;
const remembered = 64;
const domains = ["example.org", "example.com", "example.net", "post.example", "πόστ.example"] as const;
const districts = ["North", "South", "East", "West", "Harbour", "Hills"] as const;
const diagnoses = [
  "asthma",
  "broken left wrist",
  "common cold",
  "diabetes, type 2",
  "hay fever",
  "high blood pressure",
  "lactose intolerance",
  "migraine",
  "none",
  "pollen allergy (birch)",
  "short-sighted, −3.5 D",
  "sprained ankle",
] as const;
const arabicDigits = "٠١٢٣٤٥٦٧٨٩";

/**
 * Made-up persons: the same for the same number, in many writing systems, with gaps, and with duplicates that are written
 * differently. Nothing in it can belong to anybody: e-mail domains are reserved for examples (RFC 2606), +999 is no country,
 * ZZ is nobody's country code.
 */
export function* samplePersons(count: number): Generator<Person, void, undefined> {
  const random = new RandomSequence(seed);
  const recent: Person[] = [];
  let id = 0n;
  for (let row = 0; row < count; row += 1) {
    id += random.chance(0.02) ? BigInt(2 + random.below(8)) : 1n;
    const original = random.chance(0.04) ? recent[random.below(recent.length)] : undefined;
    const person = original === undefined ? newPerson(id, random) : writtenDifferently(original, id, random);
    recent[row % remembered] = person;
    yield person;
  }
}

/** A person in the order of {@link personColumns}. */
export function personRow(person: Person): SampleRow {
  const { id, given, family, email, phone, nationalId, account, income, diagnosis, district } = person;
  return [id, given, family, email, phone, nationalId, account, income, diagnosis, district];
}

function newPerson(id: bigint, random: RandomSequence): Person {
  const names = random.chance(0.65) ? latinNames : random.pick(otherNames);
  const given = random.pick(names.given);
  const family =
    names === latinNames && random.chance(0.5) ? random.pick(latinRoots) + random.pick(latinEndings) : random.pick(names.family);
  const digits = random.digits(12);
  const or = <T>(gap: number, value: T): T | null => (random.chance(gap) ? null : value);
  return {
    id,
    given: or(0.02, given),
    family: or(0.01, family),
    email: or(0.12, `${localPart(given, family)}${String(random.below(1000))}@${random.pick(domains)}`),
    phone: or(0.08, phoneNumber(digits, random)),
    nationalId: or(0.05, `ZZ-${random.digits(4)}-${random.digits(4)}-${random.digits(2)}`),
    account: or(0.2, `ZZ${random.digits(2)} DEMO ${(random.digits(12).match(/.{4}/g) ?? []).join(" ")}`),
    income: or(0.15, BigInt(Math.round(12_000 * Math.exp(random.fraction() * 2.5)))),
    diagnosis: or(0.55, random.pick(diagnoses)),
    district: random.pick(districts),
  };
}

/** Latin letters of the name, as mail systems like them; names without any get an invented word. */
function localPart(given: string, family: string): string {
  const letters = (name: string): string =>
    name
      .normalize("NFKD")
      .replace(/[^A-Za-z]/g, "")
      .toLowerCase();
  return `${letters(given) || "person"}.${letters(family) || "sample"}`;
}

function phoneNumber(digits: string, random: RandomSequence): string {
  const [area, first, second] = [digits.slice(0, 2), digits.slice(2, 5), digits.slice(5, 9)];
  const written = random.pick([`+999 ${area} ${first} ${second}`, `+999${area}${first}${second}`, `+999 (${area}) ${first}-${second}`]);
  return random.chance(0.02) ? written.replace(/[0-9]/g, (digit) => arabicDigits[Number(digit)] ?? digit) : written;
}

/** The same person, registered a second time by somebody else. */
function writtenDifferently(person: Person, id: bigint, random: RandomSequence): Person {
  const { given, family, email, phone, diagnosis } = person;
  return {
    ...person,
    id,
    given: random.chance(0.3) ? (given?.normalize("NFD") ?? null) : given,
    family: random.chance(0.3) ? (family?.toUpperCase() ?? null) : family,
    email: random.chance(0.5) ? (email?.toUpperCase() ?? null) : email,
    phone: random.chance(0.5) ? (phone?.replaceAll(" ", "-") ?? null) : phone,
    diagnosis: random.chance(0.5) ? null : diagnosis,
  };
}
