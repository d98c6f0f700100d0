import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RandomSequence } from "../../src/cli/tour/random-sequence.ts";
import { type Person, personColumns, personRow, samplePersons } from "../../src/cli/tour/sample-persons.ts";

const persons = [...samplePersons(20_000)];

function shareOf(test: (person: Person) => boolean): number {
  return persons.filter(test).length / persons.length;
}

describe("sample persons", () => {
  it("are the same every time, and the first of many are the few", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), (count) => {
        expect([...samplePersons(count)]).toEqual(persons.slice(0, count));
      }),
      { numRuns: 20 },
    );
  });

  it("have ascending ids with gaps", () => {
    const ids = persons.map(({ id }) => id);
    expect(ids.every((id, at) => at === 0 || id > (ids[at - 1] ?? 0n))).toBe(true);
    expect(Number(ids.at(-1))).toBeGreaterThan(persons.length);
  });

  it.each([
    ["given", 0.01, 0.05],
    ["family", 0.002, 0.03],
    ["email", 0.08, 0.2],
    ["phone", 0.05, 0.15],
    ["nationalId", 0.02, 0.1],
    ["account", 0.15, 0.25],
    ["income", 0.1, 0.2],
    ["diagnosis", 0.5, 0.65],
  ] as const)("have gaps in %s", (field, least, most) => {
    const gaps = shareOf((person) => person[field] === null);
    expect(gaps).toBeGreaterThan(least);
    expect(gaps).toBeLessThan(most);
  });

  it.each(["Latin", "Arabic", "Cyrillic", "Greek", "Hebrew", "Devanagari", "Ethiopic", "Han", "Thai", "Hangul", "Tamil"])(
    "have names in %s writing",
    (script) => {
      const letters = new RegExp(`^\\p{Script=${script}}`, "u");
      expect(shareOf(({ given, family }) => letters.test(given ?? "") && letters.test(family ?? ""))).toBeGreaterThan(0.02);
    },
  );

  it.each([
    ["letters with diacritics", /[\u0300-\u036f]/],
    ["apostrophes", /['’]/],
    ["spaces", / /],
  ])("have names with %s", (_, pattern) => {
    expect(shareOf(({ family }) => pattern.test(family?.normalize("NFD") ?? ""))).toBeGreaterThan(0.005);
  });

  it("have the same sound in several spellings", () => {
    const families = new Set(persons.map(({ family }) => family));
    for (const spelling of ["Meyer", "Meier", "Maier", "Mayer", "Smith", "Smyth"]) expect(families).toContain(spelling);
  });

  it("have duplicates that are written differently", () => {
    const byNationalId = Map.groupBy(
      persons.filter(({ nationalId }) => nationalId !== null),
      ({ nationalId }) => nationalId,
    );
    const duplicates = [...byNationalId.values()].filter((group) => group.length > 1);
    expect(duplicates.length).toBeGreaterThan(300);
    const differ = (field: "given" | "family" | "email" | "phone"): number =>
      duplicates.filter((group) => new Set(group.map((person) => person[field])).size > 1).length;
    for (const field of ["given", "family", "email", "phone"] as const) expect(differ(field)).toBeGreaterThan(20);
  });

  it("are nobody", () => {
    for (const { email, phone, nationalId, account } of persons) {
      if (email !== null)
        expect(email.toLowerCase()).toMatch(/^[a-z]+\.[a-z]+\d{1,3}@(?:example\.(?:org|com|net)|(?:post|πόστ)\.example)$/);
      if (phone !== null) expect(phone).toMatch(/^\+(?:999|٩٩٩)/);
      if (nationalId !== null) expect(nationalId).toMatch(/^ZZ-\d{4}-\d{4}-\d{2}$/);
      if (account !== null) expect(account).toMatch(/^ZZ\d{2} DEMO \d{4} \d{4} \d{4}$/);
    }
  });

  it("have whole incomes in bounds, and digits of other scripts", () => {
    for (const { income } of persons) {
      if (income === null) continue;
      expect(income).toBeTypeOf("bigint");
      expect(income).toBeGreaterThanOrEqual(12_000n);
      expect(income).toBeLessThan(150_000n);
    }
    expect(shareOf(({ phone }) => /[٠-٩]/.test(phone ?? ""))).toBeGreaterThan(0.005);
  });

  it("make rows in the order of the columns", () => {
    const [person] = persons;
    if (person === undefined) throw new Error("no person");
    const row = personRow(person);
    expect(row).toHaveLength(personColumns.length);
    expect(row[0]).toBe(person.id);
    expect(row[personColumns.findIndex(({ name }) => name === "email")]).toBe(person.email);
    expect(row[personColumns.findIndex(({ name }) => name === "income")]).toBe(person.income);
  });
});

describe("a random sequence", () => {
  it("is decided by its seed", () => {
    const draw = (seed: number): number[] =>
      Array.from(
        { length: 5 },
        (
          (sequence) => () =>
            sequence.fraction()
        )(new RandomSequence(seed)),
      );
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  it("stays in its bounds and reaches all of them", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), (seed, limit) => {
        const sequence = new RandomSequence(seed);
        const drawn = new Set(Array.from({ length: limit * 40 }, () => sequence.below(limit)));
        expect([...drawn].every((value) => Number.isInteger(value) && value >= 0 && value < limit)).toBe(true);
        expect(drawn.size).toBe(limit);
      }),
    );
  });
});
