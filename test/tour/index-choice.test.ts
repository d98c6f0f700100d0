import { describe, expect, it } from "vitest";
import { guessPurpose } from "../../src/cli/tour/column-meaning.ts";
import { isAddress, TraitCounter } from "../../src/cli/tour/column-traits.ts";
import { nameColumns } from "../../src/cli/tour/column-names.ts";
import { chooseIndexes, type SeenColumn } from "../../src/cli/tour/index-choice.ts";
import { personColumns, personRow, samplePersons } from "../../src/cli/tour/sample-persons.ts";
import type { SampleValue } from "../../src/cli/tour/table-source.ts";

function seen(columns: Readonly<Record<string, readonly SampleValue[]>>, unprotected: readonly string[] = []): SeenColumn[] {
  return nameColumns(Object.keys(columns)).map(({ name, logical }) => {
    const counter = new TraitCounter();
    for (const value of columns[name] ?? []) counter.add(value);
    return { column: { name, logical, type: "TEXT", protect: !unprotected.includes(name) }, traits: counter.traits };
  });
}

function chosen(columns: readonly SeenColumn[]): string[] {
  return chooseIndexes(columns).map(({ kind, column, normaliser }) => `${kind} ${column.name} ${normaliser}`);
}

describe("the purpose of a column", () => {
  it.each([
    ["surname", "pii"],
    ["E-mail", "pii"],
    ["date_of_birth", "pii"],
    ["bank_account", "financial"],
    ["IBAN", "financial"],
    ["annualIncome", "financial"],
    ["Credit-Card", "financial"],
    ["diagnosis", "medical"],
    ["bloodType", "medical"],
    ["Health insurance", "medical"],
    ["discount", "pii"],
    ["身長", "pii"],
    ["", "pii"],
  ])("of %j is %s", (name, purpose) => {
    expect(guessPurpose(name)).toBe(purpose);
  });
});

describe("indexes", () => {
  it("of the sample table are over e-mail, account and surname", () => {
    const rows = [...samplePersons(300)].map(personRow);
    const columns = Object.fromEntries(personColumns.map(({ name }, at) => [name, rows.map((row) => row[at] ?? null)]));
    expect(chosen(seen(columns, ["id", "district"]))).toEqual([
      "exact email email",
      "last(4) bank_account digits",
      "metaphone surname text",
    ]);
  });

  it("go by what the values are, where names say nothing", () => {
    const columns = seen({ a: ["x", "x", "y"], b: ["ann@example.org", "bo@example.org", null], c: ["12 345 67", "99 888 77", "1234567"] });
    expect(chosen(columns)).toEqual(["exact b email", "last(4) c digits"]);
  });

  it("prefer family names to others, telephones to plain numbers", () => {
    const columns = seen({
      first_name: ["Ada", "Bo"],
      lastName: ["Meyer", "O’Brien"],
      size: ["123456", "234567"],
      mobile: ["+999 12 345", "+999 12 346"],
    });
    expect(chosen(columns)).toEqual(["exact mobile phone", "last(4) mobile digits", "metaphone lastName text"]);
  });

  it("take no last four characters of numbers that have fewer", () => {
    expect(chosen(seen({ age: ["17", "42", "8"], floor: ["1", "2", "3"] }))).toEqual(["exact age text"]);
  });

  it("leave out columns that stay readable, are empty, or hold something else than their name says", () => {
    expect(chosen(seen({ email: ["a@example.org"], note: ["some text"] }, ["email"]))).toEqual(["exact note text"]);
    expect(chosen(seen({ name: [null, null] }))).toEqual([]);
    expect(chosen(seen({ name: ["12345", "67890"] }))).toEqual(["exact name text", "last(4) name digits"]);
  });

  it("are not slowed down by very long values", () => {
    const long = ["1".repeat(1e6), "a ".repeat(5e5), `${"a".repeat(1e6)}@${"b.".repeat(1e5)}`];
    const began = performance.now();
    chosen(seen({ long, name: long }));
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe("an e-mail address", () => {
  it.each(["ann@example.org", "o'brien+x@mail.example", "ü@post.example"])("is %s", (text) => {
    expect(isAddress(text)).toBe(true);
  });

  it.each(["", "@", "ann", "ann@example", "@example.org", "a b@example.org", "a@b@example.org", "ann@.org"])("is not %j", (text) => {
    expect(isAddress(text)).toBe(false);
  });
});
