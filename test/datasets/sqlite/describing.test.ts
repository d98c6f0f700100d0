import { describe, expect, it } from "vitest";
import type { SourceDescription, SourceLayout } from "../../../src/datasets/source.ts";
import { createTable, layoutOf } from "./database.ts";

const layout = layoutOf("person", { valueColumns: ["email"], contextColumns: ["tenant"], indexColumns: ["token"] });
const columns = "id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token TEXT";

async function describeTable(sql: string, changes: Partial<SourceLayout> = {}): Promise<SourceDescription> {
  const other = { ...layout, ...changes };
  const { openSource, drop } = await createTable(sql, other);
  try {
    const source = await openSource(other);
    return await source.describe().finally(() => source.close());
  } finally {
    await drop();
  }
}

const refusals: readonly (readonly [name: string, sql: string, message: RegExp, changes?: Partial<SourceLayout>])[] = [
  [
    "missing table",
    `CREATE TABLE persons(${columns}); CREATE TABLE visit(id)`,
    /"person" does not exist: did you mean "persons"\? \(tables: "persons", "visit"\)/,
  ],
  ["missing table in an empty database", "", /"person" does not exist \(tables: none\)/],
  ["missing table, nothing alike", "CREATE TABLE visit(id)", /"person" does not exist \(tables: "visit"\)/],
  ["table in other capitals", `CREATE TABLE Person(${columns})`, /did you mean "Person"/],
  ["table of SQLite itself", `CREATE TABLE person(${columns})`, /"sqlite_schema" does not exist/, { table: "sqlite_schema" }],
  [
    "missing column",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, e_mail TEXT, tenant TEXT, token TEXT)",
    /no column "email": did you mean "e_mail"\? \(columns: "id", "e_mail", "tenant", "token"\)/,
  ],
  ["column in other capitals", "CREATE TABLE person(id INTEGER PRIMARY KEY, Email TEXT, tenant TEXT, token TEXT)", /did you mean "Email"/],
  [
    "several missing columns",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, token TEXT)",
    /no columns "email", "tenant" \(columns: "id", "token"\)/,
  ],
  ["view", `CREATE TABLE real(${columns}); CREATE VIEW person AS SELECT * FROM real`, /is a view/],
  ["virtual table", "CREATE VIRTUAL TABLE person USING fts5(id, email, tenant, token)", /virtual table/],
  [
    "shadow table",
    "CREATE VIRTUAL TABLE person USING fts5(email)",
    /belongs to a virtual table/,
    { table: "person_content", keyColumns: ["id"], valueColumns: ["c0"], contextColumns: [], indexColumns: [] },
  ],
  ["no key columns", `CREATE TABLE person(${columns})`, /names no key columns/, { keyColumns: [] }],
  [
    "no unique key at all",
    "CREATE TABLE person(id, email, tenant, token)",
    /\("id"\) are not declared unique; it has no unique key at all/,
  ],
  [
    "another unique key",
    "CREATE TABLE person(number INTEGER PRIMARY KEY, id, code UNIQUE, email, tenant, token)",
    /unique are \("number"\), \("code"\)/,
  ],
  [
    "half of a composite key",
    "CREATE TABLE person(id, place, email, tenant, token, PRIMARY KEY (id, place))",
    /unique are \("id", "place"\)/,
  ],
  [
    "partial unique index",
    "CREATE TABLE person(id, email, tenant, token); CREATE UNIQUE INDEX u ON person(id) WHERE id > 0",
    /not declared unique/,
  ],
  [
    "unique index on an expression",
    "CREATE TABLE person(id, email, tenant, token); CREATE UNIQUE INDEX u ON person(lower(id))",
    /not declared unique/,
  ],
  ["index that is not unique", "CREATE TABLE person(id, email, tenant, token); CREATE INDEX u ON person(id)", /not declared unique/],
  [
    "NULL in the key",
    "CREATE TABLE person(id TEXT PRIMARY KEY, email, tenant, token); INSERT INTO person DEFAULT VALUES",
    /key column "id" is NULL in some rows/,
  ],
  [
    "generated value column",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT AS (lower(tenant)), tenant TEXT, token TEXT)",
    /"email" is generated/,
  ],
  [
    "stored generated value column",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT AS (lower(tenant)) STORED, tenant TEXT, token TEXT)",
    /"email" is generated/,
  ],
  [
    "generated context column",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT AS (substr(email, 5)), token TEXT)",
    /"tenant" is generated/,
  ],
  [
    "STRICT integer value",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email INTEGER, tenant TEXT, token TEXT) STRICT",
    /"email" of a STRICT table holds numbers only/,
  ],
  ["STRICT INT value", "CREATE TABLE person(id INTEGER PRIMARY KEY, email INT, tenant TEXT, token TEXT) STRICT", /numbers only/],
  ["STRICT real value", "CREATE TABLE person(id INTEGER PRIMARY KEY, email REAL, tenant TEXT, token TEXT) STRICT", /numbers only/],
  [
    "STRICT blob token",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token BLOB) STRICT",
    /"token" would turn some index tokens/,
  ],
  [
    "numeric token",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token NUMERIC)",
    /"token" would turn some index tokens/,
  ],
  [
    "token of a type that sounds like text",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token STRING)",
    /"token" would turn some index tokens/,
  ],
  [
    "unique value",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT UNIQUE, tenant TEXT, token TEXT)",
    /"email" is part of a unique key/,
  ],
  [
    "value in a composite unique key",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token TEXT, UNIQUE (tenant, email))",
    /"email" is part of a unique key/,
  ],
  [
    "value in a partial unique index",
    `CREATE TABLE person(${columns}); CREATE UNIQUE INDEX u ON person(email) WHERE tenant = 'a'`,
    /"email" is part of a unique key/,
  ],
  [
    "value that is the rowid",
    `CREATE TABLE person(${columns}, code TEXT UNIQUE)`,
    /"id" is part of a unique key/,
    { keyColumns: ["code"], valueColumns: ["id"] },
  ],
  [
    "value that refers to another table",
    "CREATE TABLE mail(email TEXT PRIMARY KEY); CREATE TABLE person(id INTEGER PRIMARY KEY, EMAIL TEXT REFERENCES mail, tenant TEXT, token TEXT)",
    /"EMAIL" refers to another table/,
    { valueColumns: ["EMAIL"] },
  ],
  [
    "unique token by which rows could vanish",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, tenant TEXT, token TEXT UNIQUE ON CONFLICT REPLACE)",
    /ON CONFLICT/,
  ],
  ["column with two ends", `CREATE TABLE person(${columns})`, /"email" can't be written and identify/, { contextColumns: ["email"] }],
  ["value and token in one column", `CREATE TABLE person(${columns})`, /"email" can't be written/, { indexColumns: ["email"] }],
  ["column named twice", `CREATE TABLE person(${columns})`, /names "email" twice/, { valueColumns: ["email", "email"] }],
  [
    "no name of the rowid left",
    "CREATE TABLE person(rowid TEXT, oid TEXT, _ROWID_ TEXT, id TEXT UNIQUE, email TEXT, tenant TEXT, token TEXT)",
    /hide every name of the rowid/,
  ],
  ["UTF-16", `PRAGMA encoding = 'UTF-16'; CREATE TABLE person(${columns})`, /UTF-16le.*PRAGMA encoding = 'UTF-8'/],
  [
    "__proto__",
    "CREATE TABLE person(id INTEGER PRIMARY KEY, __proto__ TEXT)",
    /rename it/,
    { valueColumns: ["__proto__"], contextColumns: [], indexColumns: [] },
  ],
];

describe("describing SQLite tables", () => {
  for (const [name, sql, message, changes] of refusals) {
    it(`refuses: ${name}`, async () => {
      await expect(describeTable(sql, changes)).rejects.toMatchObject({
        code: "DATASET_UNSUITABLE",
        message: expect.stringMatching(message) as string,
      });
    });
  }

  it("refuses in every method what can't be worked on, not only when asked to describe", async () => {
    const { openSource, drop } = await createTable("CREATE TABLE person(id, email, tenant, token)", layout);
    try {
      const source = await openSource(layout);
      const unsuitable = { code: "DATASET_UNSUITABLE" };
      await expect(source.readPage(undefined, 1)).rejects.toMatchObject(unsuitable);
      await expect(source.countHeaders()).rejects.toMatchObject(unsuitable);
      await expect(source.countGenerations()).rejects.toMatchObject(unsuitable);
      await expect(source.findByTokens([{ column: "token", tokens: ["1.AAAA"] }], undefined, 1)).rejects.toMatchObject(unsuitable);
      await expect(source.replace([{ locator: [], expected: {}, set: {} }])).rejects.toMatchObject(unsuitable);
      await source.close();
    } finally {
      await drop();
    }
  });

  it("looks again when the application changed the schema", async () => {
    const { database, openSource, drop } = await createTable(`CREATE TABLE person(${columns})`, layout);
    try {
      const source = await openSource(layout);
      await source.readPage(undefined, 1);
      database.exec("ALTER TABLE person RENAME COLUMN email TO mail");
      await expect(source.readPage(undefined, 1)).rejects.toMatchObject({ code: "DATASET_UNSUITABLE" });
      database.exec("ALTER TABLE person RENAME COLUMN mail TO email");
      expect((await source.readPage(undefined, 1)).rows).toEqual([]);
      await source.close();
    } finally {
      await drop();
    }
  });

  it.each([
    ["TEXT", "", "text"],
    ["VARCHAR(255)", "", "text"],
    ["", "", "text"],
    ["BLOB", "", "binary"],
    ["blob(16)", "", "binary"],
    ["NUMERIC", "", "text"],
    ["INTEGER", "", "text"],
    ["DATE", "", "text"],
    ["INTBLOB", "", "text"],
    ["TEXT", " STRICT", "text"],
    ["ANY", " STRICT", "text"],
    ["BLOB", " STRICT", "binary"],
  ])("says which form of ciphertext a column of type %s%s holds: %s", async (type, strict, form) => {
    const { forms } = await describeTable(`CREATE TABLE person(id INTEGER PRIMARY KEY, email ${type}, tenant TEXT, token TEXT)${strict}`);
    expect(forms).toEqual({ email: form });
  });

  it("accepts a key that has more columns than uniqueness needs, and a unique index with them", async () => {
    const sql = `CREATE TABLE person(${columns}, place TEXT)`;
    expect((await describeTable(sql, { keyColumns: ["place", "id"] })).rows).toBe(0);
    expect(
      (await describeTable("CREATE TABLE person(id TEXT UNIQUE, email, tenant, token); INSERT INTO person(id) VALUES ('a'), ('b')")).rows,
    ).toBe(2);
  });

  it("advises an index on token columns that have none", async () => {
    expect((await describeTable(`CREATE TABLE person(${columns})`)).advice).toEqual([`CREATE INDEX "person_token" ON "person" ("token")`]);
    expect((await describeTable(`CREATE TABLE person(${columns}); CREATE INDEX i ON person(token, id)`)).advice).toEqual([]);
    const partial = `CREATE TABLE person(${columns}); CREATE INDEX i ON person(token) WHERE id > 5`;
    expect((await describeTable(partial)).advice).toHaveLength(1);
  });

  it("mentions triggers, and the collation under which the key is unique", async () => {
    const sql = `CREATE TABLE person(id TEXT COLLATE NOCASE PRIMARY KEY, email TEXT, tenant TEXT, token TEXT); CREATE INDEX i ON person(token);
      CREATE TRIGGER "touch it" AFTER UPDATE ON person BEGIN SELECT 1; END`;
    expect((await describeTable(sql)).advice).toEqual([
      expect.stringMatching(/triggers.*"touch it"/),
      expect.stringMatching(/"id" is unique under collation NOCASE/),
    ]);
  });
});
