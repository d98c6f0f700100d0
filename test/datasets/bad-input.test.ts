import { describe, expect, it } from "vitest";
import type { DatasetInput } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";
import { type Crm, createCrm, dataVersion, personDataset, problemsOf, queryNumber, readColumn, readExactly } from "./support/crm.ts";

const schema =
  "CREATE TABLE person (id INTEGER PRIMARY KEY, tenant, name, income, name_sx TEXT); CREATE VIEW people AS SELECT * FROM person";
const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };

async function refusal({ keystead }: Crm, input: unknown, name = "crm.person"): Promise<string> {
  return codeOf(keystead.datasets.add(name, input as DatasetInput));
}

describe("registering a dataset", () => {
  it.each<[what: string, change: Readonly<Record<string, unknown>>, code: string]>([
    ["an unknown database", { database: "erp" }, "UNKNOWN_DATABASE"],
    ["an unknown table", { table: "nobody" }, "DATASET_UNSUITABLE"],
    ["a view", { table: "people" }, "DATASET_UNSUITABLE"],
    ["an unknown protected column", { columns: { nothing: { key: "pii" } } }, "DATASET_UNSUITABLE"],
    ["an unknown key column", { keyColumns: ["nothing"] }, "DATASET_UNSUITABLE"],
    ["key columns that are not unique", { keyColumns: ["tenant"] }, "DATASET_UNSUITABLE"],
    ["an unknown context column", { context: { row: "{nothing}" } }, "DATASET_UNSUITABLE"],
    ["a protected column in the context", { context: { row: "{name}" } }, "DATASET_UNSUITABLE"],
    ["an unknown index column", { indexes: { sound: { ...sound, column: "nothing" } } }, "DATASET_UNSUITABLE"],
    ["an unknown key", { columns: { name: { key: "nobody" } } }, "UNKNOWN_KEY"],
    ["a key of another usage", { columns: { name: { key: "bi" } } }, "KEY_USAGE"],
    ["an index under an encryption key", { indexes: { sound: { ...sound, key: "pii" } } }, "KEY_USAGE"],
    ["an index under an unknown key", { indexes: { sound: { ...sound, key: "nobody" } } }, "UNKNOWN_KEY"],
    ["something that is no key name", { columns: { name: { key: "a b" } } }, "INVALID_ARGUMENT"],
    ["no columns", { columns: {} }, "INVALID_ARGUMENT"],
    ["no key columns", { keyColumns: [] }, "INVALID_ARGUMENT"],
    ["a column named twice", { columns: { a: { column: "name", key: "pii" }, b: { column: "NAME", key: "pii" } } }, "INVALID_ARGUMENT"],
    ["a key column that is protected", { columns: { id: { key: "pii" } } }, "INVALID_ARGUMENT"],
    [
      "an index over a column that is not protected",
      { indexes: { sound: { ...sound, columns: ["income"] } }, columns: { name: { key: "pii" } } },
      "INVALID_ARGUMENT",
    ],
    ["too few normalisers", { indexes: { sound: { ...sound, columns: ["name", "income"] } } }, "INVALID_ARGUMENT"],
    ["an unknown kind of index", { indexes: { sound: { ...sound, kind: "guess" } } }, "INVALID_ARGUMENT"],
    ["an unknown normaliser", { indexes: { sound: { ...sound, normalisers: ["guess"] } } }, "INVALID_ARGUMENT"],
    ["too few bits", { indexes: { sound: { ...sound, bits: 7 } } }, "INVALID_ARGUMENT"],
    ["an unknown field", { colums: {} }, "INVALID_ARGUMENT"],
    ["an unknown field of a column", { columns: { name: { key: "pii", type: "text" } } }, "INVALID_ARGUMENT"],
    ["an unknown field of an index", { indexes: { sound: { ...sound, bitz: 8 } } }, "INVALID_ARGUMENT"],
    ["an unknown kind of value", { columns: { name: { key: "pii", kind: "json" } } }, "INVALID_ARGUMENT"],
    ["a name with a lone surrogate", { table: "\ud800" }, "INVALID_ARGUMENT"],
    ["a template with a lone brace", { context: { row: "{id" } }, "INVALID_ARGUMENT"],
    ["a template with two columns in a pair", { context: { row: "{id}{tenant}" } }, "INVALID_ARGUMENT"],
    ["a template that names the automatic pair", { context: { column: "{id}" } }, "INVALID_ARGUMENT"],
    ["a template with a lone surrogate", { context: { row: "\udc00{id}" } }, "INVALID_ARGUMENT"],
    ["a template that is no text", { context: { row: 1 } }, "INVALID_ARGUMENT"],
    ["an enormous template", { context: { row: "x".repeat(5000) } }, "INVALID_ARGUMENT"],
    ["JSON with a prototype in the template", { context: JSON.parse('{"__proto__": "{id}"}') as unknown }, "INVALID_ARGUMENT"],
    [
      "JSON with a prototype among the columns",
      { columns: JSON.parse('{"name": {"key": "pii"}, "__proto__": {"key": "pii"}}') as unknown },
      "INVALID_ARGUMENT",
    ],
  ])("with %s", async (_, change, code) => {
    const crm = await createCrm(schema);
    expect(await refusal(crm, { ...personDataset({ name: "pii", income: "fin" }), ...change })).toBe(code);
    expect(await crm.keystead.datasets.list()).toEqual([]);
  });

  it.each([null, 5, "x", []])("with %o for a definition", async (input) => {
    expect(await refusal(await createCrm(schema), input)).toBe("INVALID_ARGUMENT");
  });

  it.each(["", "1st", "a b", "x".repeat(129), "a/b", "__proto__"])("under the name %j", async (name) => {
    expect(await refusal(await createCrm(schema), personDataset({ name: "pii" }), name)).toBe("INVALID_ARGUMENT");
  });

  it("under a name that is taken", async () => {
    const crm = await createCrm(schema);
    await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    expect(await refusal(crm, personDataset({ income: "fin" }))).toBe("NAME_TAKEN");
  });

  it("whose database is not a file", async () => {
    const { keystead } = await createTestKeystead({ databases: { crm: "sqlite:/nowhere/crm.db", web: "https://example.org" } });
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    const input = personDataset({ name: "pii" });
    expect(await codeOf(keystead.datasets.add("a", input))).toBe("DATABASE_FAILED");
    expect(await codeOf(keystead.datasets.add("a", { ...input, database: "web" }))).toBe("INVALID_ARGUMENT");
  });

  it("never asked for: every method names the datasets that there are", async () => {
    const crm = await createCrm(schema);
    await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    const { datasets } = crm.keystead;
    for (const attempt of [
      datasets.show("crm.persons"),
      datasets.protect("crm.persons"),
      datasets.takeCensus("crm.persons"),
      datasets.recontext("crm.persons", { row: "{id}" }),
      datasets.find("crm.persons", "sound", ["x"]),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: "UNKNOWN_DATASET", message: expect.stringContaining("crm.person") as unknown });
    }
  });
});

describe("values that are not what they seem", () => {
  it("begin with ks1: and are no ciphertext: they are plaintext, and come back as they were", async () => {
    const { keystead, database } = await createCrm(schema);
    const texts = [
      "ks1:",
      "ks1:pii",
      "ks1:pii:1-aaaaaa:",
      "ks1:pii:1-aaaaaa:not base64url!",
      `ks1:pii:1-aaaaaa:${"A".repeat(37)}`,
      `ks1:pii:01-aaaaaa:${"A".repeat(40)}`,
      `ks1:pii:1-AAAAAA:${"A".repeat(40)}`,
      `ks1::1-aaaaaa:${"A".repeat(40)}`,
      `KS1:pii:1-aaaaaa:${"A".repeat(40)}`,
      ` ks1:pii:1-aaaaaa:${"A".repeat(40)}`,
      `ks1:pii:1-aaaaaa:${"A".repeat(40)} `,
      `ks2:pii:1-aaaaaa:${"A".repeat(40)}`,
      `ks1b:pii:1-aaaaaa:${"A".repeat(40)}`,
      `ks1:pii:1-aaaaaa:${"A".repeat(41)}=`,
    ];
    const insert = database.prepare("INSERT INTO person (name, income) VALUES (?, ?)");
    for (const text of texts) insert.run(text, Buffer.from(text));
    const original = readExactly(database, "person");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }));
    // The last but one, as bytes, is binary ciphertext of another store by every rule of the format.
    const binary = `${String(texts.findIndex((text) => text.startsWith("ks1b:")) + 1)} income UNKNOWN_FINGERPRINT`;
    const result = await keystead.datasets.protect("crm.person");
    expect(problemsOf(result)).toEqual([binary]);
    expect(result.progress.values).toBe(2 * texts.length - 1);
    expect(result.census?.columns.map(({ plaintext }) => plaintext)).toEqual([0, 0]);
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(original);
  });

  it("are ciphertext of nobody here: reported by row and code, counted, left as they are, in every job", async () => {
    const { keystead, database } = await createCrm(schema);
    await keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }));
    const other = await createTestKeystead();
    await other.keystead.keys.create({ name: "pii", purpose: "pii" });
    await other.keystead.keys.create({ name: "foreign", purpose: "pii" });
    const insert = database.prepare("INSERT INTO person (id, name, income) VALUES (?, ?, ?)");
    insert.run(1, await other.keystead.encrypt("foreign", canaries.name.text), 1);
    insert.run(2, await other.keystead.encrypt("pii", canaries.name.text), 2);
    insert.run(3, canaries.name.text, 3);
    const future = (await other.keystead.encrypt("pii", "x")).replace(/:1-/, ":99-");
    insert.run(4, future, 4);
    // A key of this store that is not for encryption.
    const { versions } = await keystead.keys.show("bi");
    insert.run(5, `ks1:bi:${versions[0]?.label ?? ""}:${"A".repeat(60)}`, 5);
    const before = readExactly(database, "person")
      .filter((_, index) => index !== 2)
      .map((row) => row[2]);

    const codes = ["1 name UNKNOWN_KEY", "2 name UNKNOWN_FINGERPRINT", "4 name UNKNOWN_FINGERPRINT", "5 name KEY_USAGE"];
    const result = await keystead.datasets.protect("crm.person");
    expect(problemsOf(result)).toEqual(codes);
    expect(result).toMatchObject({ state: "done", progress: { replaced: 5, values: 6 } });
    const standings = result.census?.columns[0]?.versions.map(
      ({ key, version, count, standing }) => `${key} ${version.replace(/-.*/, "")} ${String(count)} ${standing}`,
    );
    expect(standings).toEqual(
      ["bi 1 1 old", "foreign 1 1 unknown", "pii 1 1 unknown", "pii 1 1 current", "pii 99 1 unknown"].sort(
        (a, b) => (standings ?? []).indexOf(a) - (standings ?? []).indexOf(b),
      ),
    );
    await keystead.keys.rotate("pii");
    for (const job of ["reencrypt", "verify", "index", "unprotect"] as const)
      expect(problemsOf(await keystead.datasets[job]("crm.person"))).toEqual(codes);
    expect(
      readExactly(database, "person")
        .filter((_, index) => index !== 2)
        .map((row) => row[2]),
    ).toEqual(before);
    expect(readColumn(database, "name").get("3")).toBe(canaries.name.text);
  });

  it("were changed by one bit, moved to another row or column, or lost their context: reported, left as they are", async () => {
    const { keystead, database } = await createCrm(schema);
    database.exec(
      "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 6) INSERT INTO person SELECT i, 'acme', 'name ' || i, i, NULL FROM n",
    );
    const context = { tenant: "{tenant}", row: "{id}" };
    await keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "pii" }, { context, contextTypes: { tenant: "text" } }));
    await keystead.datasets.protect("crm.person");
    const sealed = String(readColumn(database, "name").get("1"));
    const flipped = `${sealed.slice(0, -6)}${sealed.at(-6) === "A" ? "B" : "A"}${sealed.slice(-5)}`;
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(flipped);
    database.exec(`
      UPDATE person SET name = (SELECT name FROM person WHERE id = 3) WHERE id = 2;
      UPDATE person SET income = name WHERE id = 4;
      UPDATE person SET tenant = 'other' WHERE id = 5;
      UPDATE person SET tenant = NULL WHERE id = 6`);
    const before = readExactly(database, "person");
    const codes = [
      "1 name DECRYPTION_FAILED",
      "2 name DECRYPTION_FAILED",
      "4 income DECRYPTION_FAILED",
      "5 name DECRYPTION_FAILED",
      "5 income DECRYPTION_FAILED",
      "6 name INVALID_ARGUMENT",
      "6 income INVALID_ARGUMENT",
    ];
    for (const job of ["protect", "verify"] as const) expect(problemsOf(await keystead.datasets[job]("crm.person"))).toEqual(codes);
    expect(readExactly(database, "person")).toEqual(before);
    await keystead.keys.rotate("pii");
    const moved = await keystead.datasets.reencrypt("crm.person");
    expect(problemsOf(moved)).toEqual(codes);
    expect(moved.progress.values).toBe(12 - codes.length);
    expect(
      moved.census?.columns
        .flatMap(({ versions }) => versions)
        .filter(({ standing }) => standing === "old")
        .reduce((sum, { count }) => sum + count, 0),
    ).toBe(codes.length);
    database.exec("UPDATE person SET tenant = 'acme'");
    expect(problemsOf(await keystead.datasets.reencrypt("crm.person"))).toEqual(codes.slice(0, 3));
    expect(problemsOf(await keystead.datasets.unprotect("crm.person"))).toEqual(codes.slice(0, 3));
    expect(readColumn(database, "name").get("6")).toBe("name 6");
  });

  it("are text that is not UTF-8, or what kind value does not keep", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c)");
    database.exec(`
      INSERT INTO person VALUES (1, CAST(x'61ff' AS TEXT), 'text in a binary column', 1.5);
      INSERT INTO person VALUES (2, x'61ff', x'61ff', CAST(x'c328' AS TEXT));
      INSERT INTO person VALUES (3, 'fine', x'', 'fine')`);
    const before = readExactly(database, "person");
    const columns = { a: { key: "pii", kind: "value" }, b: { key: "pii", kind: "value" }, c: { key: "pii" } } as const;
    await keystead.datasets.add("crm.person", personDataset({}, { columns }));
    const result = await keystead.datasets.protect("crm.person");
    expect(problemsOf(result)).toEqual(["1 a INVALID_ARGUMENT", "1 b INVALID_ARGUMENT", "2 a INVALID_ARGUMENT", "2 c INVALID_ARGUMENT"]);
    expect(result).toMatchObject({ state: "done", progress: { values: 5 } });
    expect(result.census?.columns.map(({ plaintext }) => plaintext)).toEqual([2, 1, 1]);
    expect((await keystead.datasets.unprotect("crm.person")).progress.problems).toBe(0);
    expect(readExactly(database, "person")).toEqual(before);
  });

  it("have a context column that is NULL, floating point, not UTF-8 or of another type", async () => {
    const { keystead, database } = await createCrm(schema);
    database.exec(
      "INSERT INTO person (id, tenant, name) VALUES (1, NULL, 'a'), (2, 1.5, 'b'), (3, CAST(x'ff' AS TEXT), 'c'), (4, x'ff', 'd'), (5, '', 'e'), (6, 7, 'f'), (7, 1.5, NULL), (8, '7', 'g')",
    );
    const before = readExactly(database, "person");
    await keystead.datasets.add(
      "crm.person",
      personDataset({ name: "pii" }, { context: { tenant: "t{tenant}", row: "{id}" }, contextTypes: { tenant: "text" } }),
    );
    const result = await keystead.datasets.protect("crm.person");
    expect(problemsOf(result)).toEqual([1, 2, 3, 4, 6].map((id) => `${String(id)} name INVALID_ARGUMENT`));
    expect(result.progress.values).toBe(2);
    const key = await keystead.open("pii");
    for (const [id, tenant, text] of [
      ["5", "t", "e"],
      ["8", "t7", "g"],
    ] as const) {
      expect(key.decryptValue(String(readColumn(database, "name").get(id)), { tenant, row: id, column: "name" })).toBe(text);
    }
    await key.close();
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(before);
  });

  it("that hold no text in a column of texts are named by row, and their content by nobody", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT)");
    await keystead.datasets.add("crm.person", personDataset({}, { columns: { email: { key: "pii", kind: "value" } } }));
    const bytes = Buffer.concat([Buffer.from("canary-4711"), Buffer.of(0xff)]);
    const sealed = await keystead.encrypt("pii", bytes, {
      dataset: "crm.person",
      context: { dataset: "crm.person", "row.id": "1", column: "email" },
    });
    database.prepare("INSERT INTO person VALUES (1, ?)").run(sealed);
    const result = await keystead.datasets.unprotect("crm.person");
    expect(problemsOf(result)).toEqual(["1 email DECRYPTION_FAILED"]);
    expect(JSON.stringify(result)).not.toContain("canary-4711");
  });

  it("of versions that the store does not have are named by the doctor and by the census", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT)");
    database.exec("INSERT INTO person VALUES (1, 'a'), (2, 'b')");
    await keystead.datasets.add("crm.person", personDataset({ email: "pii" }));
    await keystead.datasets.protect("crm.person");
    const unknown = async (): Promise<string> =>
      (await keystead.doctor.examine()).map(({ message }) => message).find((message) => message.includes("does not have")) ?? "";
    expect(await unknown()).toBe("");
    database.exec("UPDATE person SET email = replace(email, ':pii:1-', ':pii:9-') WHERE id = 2");
    expect(await unknown()).toMatch(/crm\.person holds 1 values of versions that this store does not have \(.*9-/);
  });

  it("can't be stored once they are plaintext: reported by unprotect, left sealed", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c)");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii", b: "pii", c: "pii" }));
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const seal = (id: number, column: string, value: Parameters<typeof key.encryptValue>[0]): string =>
      key.encryptValue(value, { dataset: "crm.person", "row.id": String(id), column });
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?, ?)");
    insert.run(1, seal(1, "a", 12n), seal(1, "b", "12"), seal(1, "c", 2n ** 63n));
    insert.run(2, seal(2, "a", 1.5), seal(2, "b", "twelve"), seal(2, "c", Number.NaN));
    insert.run(3, seal(3, "a", "x"), seal(3, "b", true), seal(3, "c", { json: [1] }));
    insert.run(4, seal(4, "a", new Date(0)), seal(4, "b", 5n), seal(4, "c", new Uint8Array([1])));
    await key.close();
    const before = readExactly(database, "person");
    const version = dataVersion(database);
    const result = await keystead.datasets.unprotect("crm.person");
    expect(result.state).toBe("done");
    expect(problemsOf(result).filter((problem) => problem.endsWith("INVALID_ARGUMENT"))).toEqual(["1 c INVALID_ARGUMENT"]);
    expect(JSON.stringify(result.progress.firstProblems)).not.toMatch(/9223372036854775808|twelve/);
    expect(problemsOf(result)).toEqual(
      expect.arrayContaining(["1 a DATABASE_FAILED", "1 b DATABASE_FAILED", "2 a DATABASE_FAILED", "2 c DATABASE_FAILED"]),
    );
    expect(dataVersion(database)).not.toBe(version);
    const after = readExactly(database, "person");
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after.slice(2)).toEqual(
      [
        [
          ["integer", 3n],
          ["text", Buffer.from("x")],
          ["integer", 1n],
          ["text", Buffer.from('{"json":[1]}')],
        ],
        [
          ["integer", 4n],
          ["text", Buffer.from("1970-01-01T00:00:00.000Z")],
          ["integer", 5n],
          ["blob", Buffer.from([1])],
        ],
      ].map((row) => row.map(([type, value]) => [type, value instanceof Buffer ? new Uint8Array(value) : value])),
    );
  });
});

describe("rows whose key is text that is not UTF-8", () => {
  it("are reported with the bytes of their key, by which SQL finds them", async () => {
    const { keystead, database } = await createCrm(
      "CREATE TABLE person (a TEXT PRIMARY KEY, name TEXT); INSERT INTO person VALUES (CAST(x'616263ff' AS TEXT), 'b')",
    );
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { keyColumns: ["a"] }));
    const { progress } = await keystead.datasets.protect("crm.person");
    expect(progress.firstProblems).toMatchObject([{ row: { a: "x'616263ff'" }, column: "name", code: "INVALID_ARGUMENT" }]);
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE CAST(a AS BLOB) = x'616263ff'")).toBe(1);
  });
});
