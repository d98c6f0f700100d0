import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { createIndexSpec } from "../../src/fields/blind-index.ts";
import { defineFields, type FieldDefinitions, type RecordDefinition } from "../../src/fields/field-specification.ts";
import type { FieldKey } from "../../src/fields/field-key.ts";
import { RecordCipher } from "../../src/fields/record-cipher.ts";
import type { KeyHandle } from "../../src/keys/key-handle.ts";
import { expectError } from "../crypto/support/expect-error.ts";
import { canaries } from "../setup/canary.ts";
import { openKey } from "./support/opened-key.ts";

const keys = { pii: openKey("pii"), medical: openKey("medical"), index: openKey("index") };

const person = defineFields(
  {
    email: {
      key: "pii",
      type: "string",
      indexes: {
        email_index: { key: "index", kind: "exact", normaliser: "email", bits: 32 },
        email_end: { key: "index", kind: "last(3)", bits: 16 },
      },
    },
    surname: { key: "pii", type: "string" },
    age: { key: "pii", type: "number" },
    serial: { key: "pii", type: "bigint", form: "binary" },
    alive: { key: "pii", type: "boolean" },
    born: { key: "pii", type: "date" },
    photo: { key: "medical", type: "bytes", form: "binary" },
    notes: { key: "medical", type: "json" },
  },
  {
    datasetId: "crm.person",
    context: { table: "person", row: "{id}" },
    contextColumns: { id: "integer" },
    indexes: { name_born: { key: "index", fields: ["surname", "born"], normalisers: ["text", "none"], bits: 24 } },
  },
);

const people = new RecordCipher(person, keys);

const anna = {
  id: 7,
  city: "Bonn",
  email: "Anna@Example.org",
  surname: "Müller",
  age: 44.5,
  serial: 2n ** 70n,
  alive: true,
  born: new Date("1980-05-01T00:00:00Z"),
  photo: Uint8Array.of(0, 255, 10),
  notes: { allergies: ["latex", null, 1] },
};

describe("records", () => {
  it("come back as they were, ciphertext and tokens in between", () => {
    const stored = people.encrypt(anna);
    expect(stored).toEqual({
      id: 7,
      city: "Bonn",
      ...Object.fromEntries(["email", "surname", "age", "alive", "born", "notes"].map((name) => [name, expect.stringMatching(/^ks1:/)])),
      serial: expect.any(Buffer) as unknown,
      photo: expect.any(Buffer) as unknown,
      email_index: expect.stringMatching(/^1\./) as unknown,
      email_end: expect.stringMatching(/^1\./) as unknown,
      name_born: expect.stringMatching(/^1\./) as unknown,
    });
    expect(people.decrypt(stored)).toStrictEqual(anna);
  });

  it("keep null, undefined, special numbers, -0 and empty values", () => {
    const record = { id: 1n, email: null, surname: "", age: -0, notes: [], photo: new Uint8Array() };
    const stored = people.encrypt({ ...record, born: null, alive: undefined });
    expect(stored).toMatchObject({ email: null, email_index: null, email_end: null, name_born: null, born: null });
    expect(stored).not.toHaveProperty("alive");
    expect(stored).not.toHaveProperty("serial");
    expect(people.decrypt(stored)).toStrictEqual({ ...record, born: null });
    for (const age of [Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE, 2 ** 53]) {
      expect(people.decrypt(people.encrypt({ id: 1, age })).age).toBe(age);
    }
  });

  it("come back for any values", () => {
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const records = fc.record(
      {
        id: fc.bigInt(),
        email: fc.option(fc.string({ unit: "binary" })),
        age: optional(fc.double()),
        serial: fc.option(fc.bigInt()),
        alive: optional(fc.boolean()),
        photo: fc.option(fc.uint8Array()),
        notes: fc.option(fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.array(fc.integer()), fc.boolean(), fc.string())),
      },
      { requiredKeys: ["id"] },
    );
    fc.assert(
      fc.property(records, (record) => {
        const present = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
        expect(people.decrypt(people.encrypt(record))).toEqual(present);
      }),
    );
  });

  it("do not change the record that was passed, and take tokens from no one", () => {
    const record = { id: 1, email: "a@example.org", email_index: "9.stale", name_born: "9.stale" };
    const stored = people.encrypt(Object.freeze(record));
    expect(stored["email_index"]).not.toBe("9.stale");
    expect(stored).not.toHaveProperty("name_born");
  });

  it("take part of a record, as in an update", () => {
    expect(Object.keys(people.encrypt({ id: 1, age: 3 }))).toEqual(["id", "age"]);
    expect(people.encrypt({ city: "Bonn" })).toEqual({ city: "Bonn" });
    expect(Object.keys(people.encrypt({ id: 1, surname: "x", born: null }))).toEqual(["id", "surname", "born", "name_born"]);
    expect(expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1, surname: "x" })).message).toContain("born");
  });

  it("pass through properties that objects have by themselves", () => {
    const odd = JSON.parse('{"id":1,"__proto__":"x","constructor":2,"email":"a@example.org"}') as Record<string, unknown>;
    const stored = people.encrypt(odd);
    expect(Object.keys(stored)).toEqual(expect.arrayContaining(["__proto__", "constructor"]));
    expect(Object.getPrototypeOf(stored)).toBe(Object.prototype);
    const fields = defineFields({ constructor: { key: "pii", type: "string" } });
    expect(new RecordCipher(fields, keys).encrypt({ a: 1 } as never)).toEqual({ a: 1 });
  });

  it("are bound to row, field and template", () => {
    const stored = people.encrypt(anna);
    const moved = { ...stored, surname: stored.email };
    expect(expectError("DECRYPTION_FAILED", () => people.decrypt(moved)).message).toMatch(/^field surname: /);
    expectError("DECRYPTION_FAILED", () => people.decrypt({ ...stored, id: 8 }));
    expect(people.decrypt({ ...stored, id: "7", city: "Rom" })).toMatchObject({ email: anna.email, city: "Rom" });
    const table = new RecordCipher(
      defineFields({ email: { key: "pii", type: "string" } }, { context: { table: "user", row: "{id}" }, contextColumns: ["id"] }),
      keys,
    );
    expectError("DECRYPTION_FAILED", () => table.decrypt({ id: 7, email: stored.email }));
    expect(keys.pii.decryptValue(stored.email ?? "", { table: "person", row: "7", column: "email" })).toBe(anna.email);
  });

  it("need their context columns only when there is something to seal or open", () => {
    expect(people.encrypt({ email: null })).toEqual({ email: null, email_index: null, email_end: null });
    expect(expectError("INVALID_ARGUMENT", () => people.encrypt({ age: 1 })).message).toContain("context column id");
    expectError("INVALID_ARGUMENT", () => people.encrypt({ id: null, age: 1 }));
    expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1.5, age: 1 }));
  });

  it("refuse values of another type, name the field and never show the value", () => {
    const wrong: Record<string, unknown> = {
      email: 7,
      age: canaries.phone.text,
      serial: 7,
      alive: 1,
      born: canaries.diagnosis.text,
      photo: [1],
      notes: () => canaries.name.text,
    };
    for (const [name, value] of Object.entries(wrong)) {
      const { message } = expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1, [name]: value }));
      expect(message).toMatch(new RegExp(`^field ${name}: `));
      for (const { text } of Object.values(canaries)) expect(message).not.toContain(text);
    }
    expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1, born: new Date(Number.NaN) }));
    expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1, notes: { when: new Date(0) } } as never));
  });

  it.each([7, 7n, true, {}, new Date(0)])("refuse to open a stored %o", (value) => {
    expect(expectError("INVALID_ARGUMENT", () => people.decrypt({ id: 1, age: value })).message).toMatch(/^field age: /);
  });

  it("refuse to open plaintext, and never show it", () => {
    const error = expectError("MALFORMED_CIPHERTEXT", () => people.decrypt({ id: 1, email: canaries.email.text }));
    expect(error.message).toMatch(/^field email: /);
    expect(error.message).not.toContain(canaries.email.text);
  });

  it("are found by their tokens, and checked", () => {
    const stored = people.encrypt(anna);
    expect(people.queryTokens("email_index", "ANNA@example.org")).toEqual([stored["email_index"]]);
    expect(people.queryTokens("email_end", "org")).toEqual([stored["email_end"]]);
    expect(people.queryTokens("name_born", ["MÜLLER", anna.born])).toEqual([stored["name_born"]]);
    expect(people.matches("name_born", anna, ["müller", anna.born])).toBe(true);
    expect(people.matches("name_born", anna, ["muller", anna.born])).toBe(false);
    expect(people.matches("email_index", { id: 1 }, "anna@example.org")).toBe(false);
    expect(expectError("INVALID_ARGUMENT", () => people.queryTokens("surname_index", "x")).message).toContain("email_index");
  });

  it("take index generations of the registry", () => {
    const generation = (number: number) =>
      createIndexSpec({ columns: ["email"], kind: "exact", bits: 16 }, { datasetId: "d", generation: number, keyVersion: 1 });
    const registered = new RecordCipher(
      defineFields(
        { email: { key: "pii", type: "string" } },
        { indexes: { token: { key: "index", generations: [generation(3), generation(4)] } } },
      ),
      keys,
    );
    expect(registered.encrypt({ email: "a" })["token"]).toMatch(/^4\./);
    expect(registered.queryTokens("token", "a").map((token) => token.slice(0, 2))).toEqual(["4.", "3."]);
  });

  it("need all their keys", () => {
    expect(expectError("UNKNOWN_KEY", () => new RecordCipher(person, { pii: keys.pii, medical: keys.medical })).message).toContain("index");
    expectError("UNKNOWN_KEY", () => new RecordCipher(defineFields({ a: { key: "constructor", type: "string" } }), {}));
  });

  it("have the types that the specification says", () => {
    const opened = people.decrypt(people.encrypt(anna));
    expectTypeOf(opened.age).toEqualTypeOf<number | null | undefined>();
    expectTypeOf(opened.born).toEqualTypeOf<Date | null | undefined>();
    expectTypeOf(people.encrypt(anna).email).toEqualTypeOf<string | null | undefined>();
    expectTypeOf(people.encrypt(anna).photo).toEqualTypeOf<Buffer | null | undefined>();
    expectTypeOf<KeyHandle>().toExtend<FieldKey>();
    // @ts-expect-error a field of type number takes no string
    expectError("INVALID_ARGUMENT", () => people.encrypt({ id: 1, age: "44" }));
  });
});

describe("typed values", () => {
  const types = { s: "string", n: "number", i: "bigint", b: "boolean", d: "date", x: "bytes", j: "json" } as const;
  const fields = defineFields(
    Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { key: "pii", type }])) satisfies FieldDefinitions,
  );
  const cipher = new RecordCipher(fields, keys);
  const iso = "1980-05-01T00:00:00.000Z";

  it.each<[keyof typeof types, Parameters<FieldKey["encryptValue"]>[0], unknown]>([
    ["n", 42n, 42],
    ["n", -(2n ** 53n) + 1n, -(2 ** 53) + 1],
    ["i", 42, 42n],
    ["b", 1n, true],
    ["b", 0n, false],
    ["b", 1, true],
    ["b", 0, false],
    ["s", 4223n, "4223"],
    ["d", iso, new Date(iso)],
    ["d", "1980-05-01", new Date(iso)],
    ["d", "1980-05-01 02:00:00+02", new Date(iso)],
    ["d", "+010000-01-01T00:00:00.000Z", new Date("+010000-01-01T00:00:00.000Z")],
    ["n", "42", 42],
    ["n", "-1.50", -1.5],
    ["n", "1e21", 1e21],
    ["i", "-36893488147419103232", -(2n ** 65n)],
    ["b", "true", true],
    ["b", "false", false],
    ["j", "text", "text"],
    ["j", 1.5, 1.5],
    ["j", false, false],
  ])("a field of type %s gets a stored %o as %o", (name, value, expected) => {
    expect(cipher.decrypt({ [name]: keys.pii.encryptValue(value, { column: name }) })).toStrictEqual({ [name]: expected });
  });

  it.each<[keyof typeof types, Parameters<FieldKey["encryptValue"]>[0]]>([
    ["n", 2n ** 53n],
    ["n", "042"],
    ["n", "12345678901234567"],
    ["n", ""],
    ["n", "Infinity"],
    ["n", true],
    ["i", 1.5],
    ["i", -0],
    ["i", 2 ** 53],
    ["i", Number.NaN],
    ["i", "042"],
    ["i", "4.0"],
    ["b", 2n],
    ["b", -0],
    ["b", "t"],
    ["b", "1"],
    ["s", 1.5],
    ["s", true],
    ["s", Uint8Array.of(1)],
    ["d", "1980-02-30"],
    ["d", "1980-05-01T00:00:00"],
    ["d", "1980-05-01T00:00:00.000001+00:00"],
    ["d", 0],
    ["x", "text"],
    ["j", 1n],
    ["j", new Date(0)],
    ["j", Uint8Array.of(1)],
  ])("a field of type %s refuses a stored %o, which it can't hold without loss", (name, value) => {
    const sealed = keys.pii.encryptValue(value, { column: name });
    expect(expectError("INVALID_ARGUMENT", () => cipher.decrypt({ [name]: sealed })).message).toMatch(
      new RegExp(`^field ${name}: the stored value`),
    );
  });
});

describe("field specifications", () => {
  const index = { key: "index", kind: "exact", bits: 16 };
  const field = { key: "pii", type: "string" } as const;
  const spec = createIndexSpec({ columns: ["a"], kind: "exact", bits: 16 }, { datasetId: "d", generation: 1, keyVersion: 1 });

  it.each<[string, FieldDefinitions, RecordDefinition]>([
    ["an unknown type", { a: { key: "pii", type: "text" as "string" } }, {}],
    ["a type that objects have", { a: { key: "pii", type: "toString" as "string" } }, {}],
    ["no key name", { a: { ...field, key: "" } }, {}],
    ["no field name", { "": field }, {}],
    ["an index without dataset", { a: { ...field, indexes: { t: index } } }, {}],
    ["an index of an unknown kind", { a: { ...field, indexes: { t: { ...index, kind: "x" } } } }, { datasetId: "d" }],
    ["an index with an unknown normaliser", { a: { ...field, indexes: { t: { ...index, normaliser: "x" } } } }, { datasetId: "d" }],
    ["an index with too few bits", { a: { ...field, indexes: { t: { ...index, bits: 4 } } } }, { datasetId: "d" }],
    ["an index in a field's place", { a: { ...field, indexes: { a: index } } }, { datasetId: "d" }],
    ["two indexes in one place", { a: { ...field, indexes: { t: index } }, b: { ...field, indexes: { t: index } } }, { datasetId: "d" }],
    [
      "an index in a context column's place",
      { a: { ...field, indexes: { id: index } } },
      { datasetId: "d", context: { r: "{id}" }, contextColumns: ["id"] },
    ],
    ["an index over JSON", { a: { key: "pii", type: "json", indexes: { t: index } } }, { datasetId: "d" }],
    ["a compound over one field", { a: field }, { datasetId: "d", indexes: { t: { key: "index", fields: ["a"], bits: 16 } } }],
    [
      "a compound over an unprotected field",
      { a: field },
      { datasetId: "d", indexes: { t: { key: "index", fields: ["a", "b"], bits: 16 } } },
    ],
    ["no live generation", { a: field }, { indexes: { t: { key: "index", generations: [] } } }],
    [
      "generations of different columns",
      { a: field },
      { indexes: { t: { key: "index", generations: [spec, { ...spec, columns: ["b"] }] } } },
    ],
    ["a context of unknown columns", { a: field }, { context: { row: "{id}" } }],
    ["a context of protected columns", { a: field }, { context: { row: "{a}" }, contextColumns: ["a"] }],
  ])("are refused for %s", (_, fields, record) => {
    expectError("INVALID_ARGUMENT", () => defineFields(fields, record));
  });
});
