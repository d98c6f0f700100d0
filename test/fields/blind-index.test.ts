import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BlindIndex,
  createIndexRecipe,
  createIndexSpec,
  findIndexDrift,
  type IndexDefinition,
  unicodeVersion,
} from "../../src/fields/blind-index.ts";
import type { CanonicalValue } from "../../src/fields/canonical-text.ts";
import { canaries } from "../setup/canary.ts";
import { expectError } from "../crypto/support/expect-error.ts";
import { openKey } from "./support/opened-key.ts";

const placement = { datasetId: "0197a3c2-5d1e-7000-8000-000000000001", generation: 1, keyVersion: 1 };
const key = openKey("pii-index", Buffer.alloc(32, 7));

function specOf(definition: Partial<IndexDefinition>, generation = 1) {
  return createIndexSpec({ columns: ["email"], kind: "exact", bits: 256, ...definition }, { ...placement, generation });
}

const indexOf = (definition: Partial<IndexDefinition>): BlindIndex => BlindIndex.open(key, [specOf(definition)]);

describe("index specs", () => {
  it("hold names and versions of everything behind the tokens", () => {
    expect(specOf({ columns: ["surname", "phone"], kind: "compound", normalisers: ["text", "phone(AU)"], bits: 20 }, 3)).toEqual({
      ...placement,
      generation: 3,
      columns: ["surname", "phone"],
      kind: "compound",
      normaliser: "text,phone(AU)",
      normaliserVersion: "1,1/libphonenumber-js@1.13.16",
      unicodeVersion: process.versions["unicode"],
      bits: 20,
    });
    expect(specOf({ kind: "soundex" })).toMatchObject({ normaliser: "text", normaliserVersion: "1;soundex@1" });
    expect(specOf({ kind: "metaphone" })).toMatchObject({ normaliserVersion: "1;1/double-metaphone@2.0.1" });
  });

  it.each<[string, Partial<IndexDefinition>]>([
    ["an unknown kind", { kind: "prefix" }],
    ["an unknown normaliser", { normalisers: ["lower"] }],
    ["normalisers in one text", { columns: ["a", "b"], kind: "compound", normalisers: ["text,text"] }],
    ["one column for a compound", { kind: "compound" }],
    ["two columns for an exact index", { columns: ["a", "b"] }],
    ["no columns", { columns: [] }],
    ["too few normalisers", { columns: ["a", "b"], kind: "compound", normalisers: ["text"] }],
    ["too few bits", { bits: 7 }],
    ["too many bits", { bits: 257 }],
    ["no number of bits", { bits: Number.NaN }],
  ])("are refused for %s", (_, definition) => {
    expectError("INVALID_ARGUMENT", () => specOf(definition));
  });

  it("drift when library or Unicode change", () => {
    const spec = specOf({ normalisers: ["email"] });
    expect(findIndexDrift(spec)).toEqual([]);
    expect(findIndexDrift({ ...spec, normaliserVersion: "1/validator@12.0.0", unicodeVersion: "12.1" })).toEqual([
      { what: "normaliser", then: "1/validator@12.0.0", now: spec.normaliserVersion },
      { what: "unicode", then: "12.1", now: unicodeVersion },
    ]);
  });
});

describe("blind indexes", () => {
  it.each<[string, Partial<IndexDefinition>, readonly CanonicalValue[], readonly CanonicalValue[]]>([
    ["exact, as text", {}, [" Maria  ELENA"], ["maria elena"]],
    ["exact, e-mail", { normalisers: ["email"] }, ["Anna@Example.ORG"], ["anna@example.org"]],
    ["exact, phone", { normalisers: ["phone(AU)"] }, ["0412 345 678"], ["+61412345678"]],
    ["last four, digits", { kind: "last(4)", normalisers: ["digits"] }, ["123-45-6789"], ["6789"]],
    ["last four of a longer search", { kind: "last(4)", normalisers: ["digits"] }, ["123-45-6789"], ["999-99-6789"]],
    ["soundex", { kind: "soundex" }, ["Robert"], ["Rupert"]],
    ["soundex without particles", { kind: "soundex" }, ["Berg"], ["van der Berg"]],
    ["metaphone by the secondary code", { kind: "metaphone" }, ["Schmidt"], ["Smith"]],
    ["compound", { columns: ["a", "b"], kind: "compound" }, ["Anna", 1980n], ["ANNA", "1980"]],
    ["numbers and bigints alike", { normalisers: ["none"] }, [7n], [7]],
    ["dates", { normalisers: ["none"] }, [new Date(0)], ["1970-01-01T00:00:00.000000Z"]],
  ])("find what matches: %s", (_, definition, row, search) => {
    const index = indexOf(definition);
    expect(index.queryTokens(search)).toContain(index.token(row));
    expect(index.matches(row, search)).toBe(true);
  });

  it.each<[string, Partial<IndexDefinition>, readonly CanonicalValue[], readonly CanonicalValue[]]>([
    ["exact", {}, ["anna"], ["anne"]],
    ["last four", { kind: "last(4)" }, ["12345"], ["12346"]],
    ["soundex", { kind: "soundex" }, ["Robert"], ["Smith"]],
    ["compound, one column differs", { columns: ["a", "b"], kind: "compound" }, ["anna", "1980"], ["anna", "1981"]],
    ["compound, moved between columns", { columns: ["a", "b"], kind: "compound" }, ["ab", "c"], ["a", "bc"]],
  ])("do not find what does not: %s", (_, definition, row, search) => {
    const index = indexOf(definition);
    expect(index.queryTokens(search)).not.toContain(index.token(row));
    expect(index.matches(row, search)).toBe(false);
  });

  it("do not confuse rows that share a short token", () => {
    const index = indexOf({ bits: 8 });
    const token = index.token(["value 0"]);
    const sharing = Array.from({ length: 3_000 }, (_, at) => `value ${at + 1}`).find((value) => index.token([value]) === token);
    expect(sharing).toBeDefined();
    expect(index.matches([sharing], ["value 0"])).toBe(false);
    expect(index.matches(["VALUE 0"], ["value 0"])).toBe(true);
  });

  it.each<[string, Partial<IndexDefinition>, readonly CanonicalValue[]]>([
    ["null", {}, [null]],
    ["undefined", {}, [undefined]],
    ["an empty text", {}, [""]],
    ["white space", {}, [" \u00a0"]],
    ["no digits", { normalisers: ["digits"] }, ["none"]],
    ["too short a value", { kind: "last(4)" }, ["123"]],
    ["one null of two", { columns: ["a", "b"], kind: "compound" }, ["anna", null]],
    ["a name without letters or digits", { kind: "soundex" }, ["'"]],
  ])("give no token for %s, and nothing finds it", (_, definition, row) => {
    const index = indexOf(definition);
    expect(index.token(row)).toBeNull();
    expectError("INVALID_ARGUMENT", () => index.queryTokens(row));
    const search = row.map(() => "anna");
    expect(index.matches(row, search)).toBe(false);
  });

  it("write the newest generation and search in all", () => {
    const [old, live] = [specOf({ bits: 16 }, 1), specOf({ bits: 24 }, 2)];
    const both = BlindIndex.open(key, [old, live]);
    expect(both.token(["anna"])).toBe(BlindIndex.open(key, [live]).token(["anna"]));
    expect(both.token(["anna"])).toMatch(/^2\./);
    expect(both.queryTokens(["anna"])).toEqual([both.token(["anna"]), BlindIndex.open(key, [old]).token(["anna"])]);
    expectError("INVALID_ARGUMENT", () => BlindIndex.open(key, []));
  });

  it("refuse the wrong number of values, floating point and lone surrogates, without the value", () => {
    const { email } = canaries;
    const index = indexOf({});
    expectError("INVALID_ARGUMENT", () => index.token([]));
    expectError("INVALID_ARGUMENT", () => index.token(["a", "b"]));
    expectError("INVALID_ARGUMENT", () => index.token([1.5]));
    expectError("INVALID_ARGUMENT", () => index.token([Number.NaN]));
    expect(expectError("INVALID_ARGUMENT", () => index.token([`${email.text}\ud800`])).message).not.toContain(email.text);
    expectError("INVALID_ARGUMENT", () => createIndexRecipe({ columns: ["a"], kind: "exact", normaliser: "text,text" }));
  });

  it("never share a token between kinds, columns, datasets, normalisers, sizes and generations", () => {
    const definitions: Partial<IndexDefinition>[] = [
      {},
      { kind: "last(4)" },
      { kind: "last(5)" },
      { kind: "soundex" },
      { kind: "metaphone" },
      { columns: ["e-mail"] },
      { normalisers: ["none"] },
      { normalisers: ["trim"] },
      { normalisers: ["phone"] },
      { normalisers: ["phone(AU)"] },
      { normalisers: ["phone(NZ)"] },
      { bits: 248 },
    ];
    const specs = definitions.flatMap((definition) => {
      const spec = specOf(definition);
      return [spec, { ...spec, datasetId: "another" }];
    });
    const compound = BlindIndex.open(key, [specOf({ columns: ["email", "e-mail"], kind: "compound" })]);
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{5,9}$/), (digits) => {
        const tokens = [...specs.map((spec) => BlindIndex.open(key, [spec]).token([digits])), compound.token([digits, digits])];
        // Bytes after the generation: the prefix must not be what tells them apart. 31 of them, since one index keeps 248 bits.
        const starts = tokens.map((token) => token?.slice(2, 42));
        expect(starts).not.toContain(undefined);
        expect(new Set(starts).size).toBe(tokens.length);
        const second = BlindIndex.open(key, [specOf({}, 2)]).token([digits]);
        expect(tokens).not.toContain(second);
      }),
      { numRuns: 20 },
    );
  });

  it("have equal tokens exactly for equal normalised values", () => {
    const index = indexOf({});
    const recipe = createIndexRecipe(specOf({}));
    const text = fc.string({ unit: fc.constantFrom("a", "A", "é", "e\u0301", " ", "ß", "SS", "b") });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(index.token([a]) === index.token([b])).toBe(JSON.stringify(recipe.values([a])) === JSON.stringify(recipe.values([b])));
      }),
    );
  });
});
