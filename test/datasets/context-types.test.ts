import { describe, expect, it } from "vitest";
import { readDefinition } from "../../src/datasets/definition.ts";
import { defineFields, RecordCipher } from "../../src/fields/index.ts";
import type { ContextTypes, DatasetInput } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { codeOf } from "../support/test-keystead.ts";
import { type Crm, createCrm, personDataset, problemsOf, readColumn } from "./support/crm.ts";

const byRow = { tenant: "{tenant}", row: "{id}" };

/** A table whose context column is declared like this, and the dataset on it. */
async function createTenants(declared: string, contextTypes?: ContextTypes): Promise<Crm> {
  const crm = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, tenant ${declared}, name TEXT)`);
  await crm.keystead.datasets.add("crm.person", tenantDataset(contextTypes));
  return crm;
}

function tenantDataset(contextTypes?: ContextTypes): DatasetInput {
  return personDataset({ name: "pii" }, { context: byRow, ...(contextTypes !== undefined && { contextTypes }) });
}

/** The application's own cipher for the dataset. */
async function openRecords({ keystead }: Crm) {
  const specification = defineFields({ name: { key: "pii", type: "string" } }, await keystead.datasets.recordDefinition("crm.person"));
  return new RecordCipher(specification, { pii: await keystead.open("pii", { dataset: "crm.person" }) });
}

describe("types of context columns", () => {
  it("are those of the declared columns, and fixed with the definition", async () => {
    const declared = { a: "BOOLEAN", b: "DECIMAL(10,2)", c: "uuid", d: "DATE", e: "TIMESTAMPTZ", f: "VARCHAR(20)", g: "BLOB", h: "BIGINT" };
    const names = Object.keys(declared);
    const columns = Object.entries(declared).map(([name, type]) => `${name} ${type}`);
    const { keystead } = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, ${columns.join(", ")}, unused REAL)`);
    const context = Object.fromEntries(names.map((name) => [name, `{${name}}`]));
    const { contextTypes } = await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { context }));
    const wanted = { a: "boolean", b: "numeric", c: "uuid", d: "date", e: "timestamptz", f: "text", g: "bytes", h: "integer" };
    expect(contextTypes).toEqual(wanted);
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ contextTypes: wanted });
    expect(await keystead.datasets.recordDefinition("crm.person")).toEqual({ context, contextColumns: wanted, indexes: {} });
  });

  it("of the default context are those of the key columns", async () => {
    const { keystead } = await createCrm("CREATE TABLE person (id BIGINT, realm CHAR(8), name TEXT, PRIMARY KEY (realm, id))");
    const { context, contextTypes } = await keystead.datasets.add("p", personDataset({ name: "pii" }, { keyColumns: ["realm", "id"] }));
    expect(context).toEqual({ dataset: "p", "row.realm": "{realm}", "row.id": "{id}" });
    expect(contextTypes).toEqual({ realm: "text", id: "integer" });
  });

  it.each(["", "ANY", "DATETIME", "TIMESTAMP", "REAL", "DOUBLE PRECISION", "STRING", "TINYINT(1)"])(
    "are asked for where the table does not tell: %j",
    async (declared) => {
      const crm = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, tenant ${declared}, name TEXT)`);
      const { datasets } = crm.keystead;
      const said = declared === "" ? "has no declared type" : `is declared ${declared}`;
      await expect(datasets.add("crm.person", tenantDataset())).rejects.toMatchObject({
        code: "DATASET_UNSUITABLE",
        message: expect.stringContaining(`"tenant" ${said}, which does not say how its values are written in contexts`) as unknown,
      });
      expect(await datasets.list()).toEqual([]);
      // What the context does not name needs none.
      await datasets.add("crm.person", personDataset({ name: "pii" }));
      expect(await codeOf(datasets.recontext("crm.person", byRow))).toBe("DATASET_UNSUITABLE");
      expect(await codeOf(datasets.recontext("crm.person", byRow, { dryRun: true }))).toBe("DATASET_UNSUITABLE");
      expect((await datasets.show("crm.person")).nextContext).toBeUndefined();
      expect((await datasets.recontext("crm.person", byRow, { contextTypes: { tenant: "text" } })).state).toBe("done");
      expect((await datasets.show("crm.person")).contextTypes).toEqual({ tenant: "text", id: "integer" });
    },
  );

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ["a column that the context does not name", { contextTypes: { name: "text" } }],
    ["an unknown type", { contextTypes: { tenant: "varchar" } }],
    ["a type that is none", { contextTypes: { tenant: 1 } }],
    ["a hidden name", { contextTypes: JSON.parse('{"__proto__": "text"}') as unknown }],
    ["an inherited name", { contextTypes: { constructor: "text" } }],
    ["no object", { contextTypes: ["text"] }],
  ])("are refused for %s", async (_, change) => {
    const { keystead } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT)");
    const input = { ...tenantDataset(), ...change };
    expect(await codeOf(keystead.datasets.add("crm.person", input))).toBe("INVALID_ARGUMENT");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    const options = change as { readonly contextTypes: ContextTypes };
    expect(await codeOf(keystead.datasets.recontext("crm.person", byRow, options))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.datasets.recontext("crm.person", undefined, options))).toBe("INVALID_ARGUMENT");
  });

  it("of columns with names of objects are their own", async () => {
    const { keystead, database } = await createCrm(
      'CREATE TABLE person (id INTEGER PRIMARY KEY, "constructor" BOOLEAN, "toString" TEXT, name TEXT)',
    );
    database.exec("INSERT INTO person VALUES (1, 0, 'x', 'y')");
    const context = { a: "{constructor}", b: "{toString}" };
    const { contextTypes } = await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { context }));
    expect(contextTypes).toEqual({ constructor: "boolean", toString: "text" });
    await keystead.datasets.protect("crm.person");
    const sealed = String(readColumn(database, "name").get("1"));
    expect(await keystead.decryptValue(sealed, { context: { a: "false", b: "x", column: "name" } })).toBe("y");
  });

  it("let the application and the jobs open each other's values: a truth value kept as 1", async () => {
    const crm = await createTenants("BOOLEAN");
    const { keystead, database } = crm;
    const records = await openRecords(crm);
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?)");
    const { name } = records.encrypt({ id: 1, tenant: true, name: canaries.name.text });
    insert.run(1, 1, name ?? null);
    insert.run(2, 0, canaries.name.text);
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: 1, problems: 0 });
    const sealed = readColumn(database, "name");
    expect(records.decrypt({ id: 2, tenant: false, name: sealed.get("2") })).toMatchObject({ name: canaries.name.text });
    expect(records.decrypt({ id: 1n, tenant: 1n, name: sealed.get("1") })).toMatchObject({ name: canaries.name.text });
    expect(await keystead.decryptValue(String(sealed.get("2")), { context: { tenant: "false", row: "2", column: "name" } })).toBe(
      canaries.name.text,
    );
  });

  it("report the row whose value does not fit, and never guess", async () => {
    const bad: readonly (readonly [declared: string, contextTypes: ContextTypes | undefined, cells: readonly string[]])[] = [
      ["BOOLEAN", undefined, ["2", "'true'", "'t'", "0.5", "NULL", "x'01'"]],
      ["DECIMAL(10,2)", undefined, ["'1.50'", "1.5", "'abc'", "9e999", "12345678901234567890"]],
      ["UUID", undefined, ["'0197a3c25d1e70008000000000000001'", "x'0197a3c25d1e70008000000000000001'", "12"]],
      ["DATE", undefined, ["'2024-2-9'", "20240209", "'2023-02-29'", "'2024-02-09 00:00:00'"]],
      ["TIMESTAMPTZ", undefined, ["'2024-02-29 12:00:00'", "1709208000", "'now'"]],
      ["INTEGER", undefined, ["'seven'", "1.5", "x'37'"]],
      ["TEXT", undefined, ["x'37'", "CAST(x'ff' AS TEXT)"]],
      ["BLOB", undefined, ["'text'", "7"]],
      ["REAL", { tenant: "numeric" }, ["1", "1.5"]],
    ];
    for (const [declared, contextTypes, cells] of bad) {
      const { keystead, database } = await createTenants(declared, contextTypes);
      database.exec(`INSERT INTO person VALUES ${cells.map((cell, id) => `(${String(id)}, ${cell}, 'plain')`).join(", ")}`);
      const result = await keystead.datasets.protect("crm.person");
      expect(problemsOf(result), declared).toEqual(cells.map((_, id) => `${String(id)} name INVALID_ARGUMENT`));
      for (const { message } of result.progress.firstProblems) expect(message).toContain("context column tenant");
      expect(new Set(readColumn(database, "name").values())).toEqual(new Set(["plain"]));
      // There is nothing to do for other jobs: what is plaintext needs no context.
      expect(problemsOf(await keystead.datasets.verify("crm.person")), declared).toEqual([]);
    }
  });

  it("say of decimals that SQLite turned into floating point how to keep them", async () => {
    const { keystead, database } = await createTenants("DECIMAL(10,2)");
    database.exec("INSERT INTO person VALUES (1, '1.50', 'plain'), (2, '2.00', 'x'), (3, 3, 'y')");
    const { progress } = await keystead.datasets.protect("crm.person");
    expect(progress).toMatchObject({ values: 2, problems: 1 });
    expect(progress.firstProblems[0]?.message).toMatch(/floating point.*keep it as text/);
    const other = await createTenants("TEXT", { tenant: "numeric" });
    other.database.exec("INSERT INTO person VALUES (1, '1.50', 'plain')");
    expect((await other.keystead.datasets.protect("crm.person")).progress.problems).toBe(0);
    const records = await openRecords(other);
    const [name] = readColumn(other.database, "name").values();
    expect(records.decrypt({ id: 1, tenant: "1.5", name })).toMatchObject({ name: "plain" });
  });

  it("stay when the table is declared anew", async () => {
    const crm = await createTenants("BOOLEAN");
    const { keystead, database } = crm;
    database.exec("INSERT INTO person VALUES (1, 1, 'plain')");
    await keystead.datasets.protect("crm.person");
    for (const declared of ["INTEGER", "", "TEXT"]) {
      database.exec(`
        CREATE TABLE other (id INTEGER PRIMARY KEY, tenant ${declared}, name TEXT);
        INSERT INTO other SELECT id, CAST(tenant AS INTEGER), name FROM person; DROP TABLE person; ALTER TABLE other RENAME TO person`);
      await keystead.keys.rotate("pii");
      const { progress } = await keystead.datasets.reencrypt("crm.person");
      expect((await keystead.datasets.show("crm.person")).contextTypes).toEqual({ tenant: "boolean", id: "integer" });
      // Text is no truth value: reported, not bound to something else.
      expect(progress).toMatchObject(declared === "TEXT" ? { values: 0, problems: 1 } : { values: 1, problems: 0 });
    }
  });

  it("change by recontext alone, with the values", async () => {
    const crm = await createTenants("BOOLEAN");
    const { keystead, database } = crm;
    database.exec("INSERT INTO person VALUES (1, 1, 'plain')");
    await keystead.datasets.protect("crm.person");
    // What the column is now stays unless another type is given.
    await keystead.datasets.recontext("crm.person", { app: "crm", ...byRow });
    expect((await keystead.datasets.show("crm.person")).contextTypes).toEqual({ tenant: "boolean", id: "integer" });
    const dry = await keystead.datasets.recontext("crm.person", byRow, { contextTypes: { tenant: "integer" }, dryRun: true });
    expect(dry.progress).toMatchObject({ values: 1, problems: 0 });
    expect((await keystead.datasets.show("crm.person")).nextContextTypes).toBeUndefined();
    await keystead.datasets.recontext("crm.person", byRow, { contextTypes: { tenant: "integer" } });
    expect(await keystead.datasets.show("crm.person")).toMatchObject({
      context: byRow,
      contextTypes: { tenant: "integer", id: "integer" },
    });
    const sealed = String(readColumn(database, "name").get("1"));
    expect(await keystead.decryptValue(sealed, { context: { tenant: "1", row: "1", column: "name" } })).toBe("plain");
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("of a recontext under way are those it began with", async () => {
    const crm = await createTenants("BOOLEAN");
    const { keystead, database } = crm;
    const { datasets } = keystead;
    database.exec("INSERT INTO person VALUES (1, 1, 'plain')");
    await datasets.protect("crm.person");
    const signal = AbortSignal.abort();
    const paused = await datasets.recontext("crm.person", { t: "{tenant}" }, { contextTypes: { tenant: "integer" }, signal });
    expect(paused.state).toBe("paused");
    expect(await datasets.show("crm.person")).toMatchObject({
      contextTypes: { tenant: "boolean", id: "integer" },
      nextContext: { t: "{tenant}" },
      nextContextTypes: { tenant: "integer" },
    });
    expect(await codeOf(datasets.recontext("crm.person", { t: "{tenant}" }, { contextTypes: { tenant: "numeric" } }))).toBe("CONFLICT");
    expect(await codeOf(datasets.recontext("crm.person", { other: "{id}" }))).toBe("CONFLICT");
    expect((await datasets.verify("crm.person")).progress.problems).toBe(0);
    expect((await datasets.recontext("crm.person", { t: "{tenant}" })).state).toBe("done");
    expect((await datasets.show("crm.person")).contextTypes).toEqual({ tenant: "integer" });
    const sealed = String(readColumn(database, "name").get("1"));
    expect(await keystead.decryptValue(sealed, { context: { t: "1", column: "name" } })).toBe("plain");
  });

  it("that were wrong are left behind by a recontext, also where plaintext does not fit them", async () => {
    const { keystead, database } = await createTenants("REAL", { tenant: "text" });
    database.exec("INSERT INTO person VALUES (1, 1.5, 'plain'), (2, 'fits', 'plain')");
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: 1, problems: 1 });
    expect(await keystead.datasets.recontext("crm.person", { row: "{id}" })).toMatchObject({ state: "done", progress: { problems: 0 } });
    expect((await keystead.datasets.show("crm.person")).context).toEqual({ row: "{id}" });
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: 1, problems: 0 });
  });

  it("are absent from definitions of before, whose columns go by their storage class", async () => {
    const stored = {
      database: "crm",
      table: "person",
      keyColumns: ["id"],
      columns: [],
      context: { row: "{id}" },
      nextContext: null,
      indexes: [],
    };
    expect(readDefinition(JSON.stringify(stored))).toMatchObject({ contextTypes: {}, nextContextTypes: {} });
    const { rowContexts } = await import("../../src/datasets/row-context.ts");
    const contexts = rowContexts(readDefinition(JSON.stringify(stored))).row({ id: { type: "integer", value: 1n } });
    expect(contexts("name").now).toEqual({ row: "1", column: "name" });
  });
});
