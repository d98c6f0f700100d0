import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import {
  type Crm,
  createCrm,
  dataVersion,
  logUpdates,
  personDataset,
  queryNumber,
  readColumn,
  readExactly,
  takeUpdates,
} from "./support/crm.ts";

/** Every storage type, with values at which something could go wrong. */
const values: readonly SQLInputValue[] = [
  canaries.email.text,
  canaries.name.text,
  "",
  " 12 ",
  "007",
  "a\0b",
  "\ufffd\u{1f600}e\u0301",
  0n,
  -1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  0.1,
  -0,
  1e300,
  Number.MIN_VALUE,
  Number.NEGATIVE_INFINITY,
  new Uint8Array(),
  canaries.diagnosis.bytes,
  Buffer.from([0xff, 0xfe, 0x00]),
  null,
];

function insertValues(database: DatabaseSync, columns: number): void {
  const statement = database.prepare(`INSERT INTO person VALUES (?${", ?".repeat(columns)})`);
  for (const [index, value] of values.entries()) {
    statement.run(index + 1, ...Array.from({ length: columns }, (_, shift) => values[(index + shift) % values.length] ?? value));
  }
}

/** Labels of a key's versions that a dataset's census counts, with their number. */
async function counted({ keystead }: Crm, dataset = "crm.person"): Promise<Record<string, number>> {
  const { columns } = await keystead.datasets.takeCensus(dataset);
  const counts: Record<string, number> = {};
  for (const { versions, plaintext } of columns) {
    if (plaintext > 0) counts["plaintext"] = (counts["plaintext"] ?? 0) + plaintext;
    for (const { key, version, count } of versions) {
      const name = `${key}:${version.replace(/-.*/, "")}`;
      counts[name] = (counts[name] ?? 0) + count;
    }
  }
  return counts;
}

describe("protect, reencrypt, recontext, unprotect", () => {
  it.each([
    { affinity: "without a type", schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, a, b, c)" },
    { affinity: "BLOB", schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, a BLOB, b BLOB, c BLOB)" },
    { affinity: "TEXT", schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, a TEXT, b VARCHAR(10), c TEXT COLLATE NOCASE)" },
    { affinity: "numbers", schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, a INTEGER, b REAL, c NUMERIC)" },
    { affinity: "ANY of a STRICT table", schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, a ANY, b ANY, c ANY) STRICT" },
  ])("keep every value and its type in columns of affinity $affinity", async ({ schema }) => {
    const crm = await createCrm(schema);
    const { keystead, database } = crm;
    insertValues(database, 3);
    const original = readExactly(database, "person");
    const filled = queryNumber(database, "SELECT count(a) + count(b) + count(c) FROM person");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii", b: "fin", c: "pii" }));

    const protectedJob = await keystead.datasets.protect("crm.person");
    expect(protectedJob).toMatchObject({ state: "done", progress: { pass: 1, values: filled, changed: 0, problems: 0 } });
    expect(await counted(crm)).toEqual({
      "pii:1": queryNumber(database, "SELECT count(a) + count(c) FROM person"),
      "fin:1": queryNumber(database, "SELECT count(b) FROM person"),
    });
    expect(
      queryNumber(
        database,
        "SELECT count(*) FROM person WHERE substr(a, 1, 8) <> 'ks1:pii:' AND substr(a, 1, 9) <> CAST('ks1b:pii:' AS BLOB)",
      ),
    ).toBe(0);

    await keystead.keys.rotate("pii");
    const moved = await keystead.datasets.reencrypt("crm.person");
    expect(moved.progress.values).toBe(queryNumber(database, "SELECT count(a) + count(c) FROM person"));
    expect(Object.keys(await counted(crm)).sort()).toEqual(["fin:1", "pii:2"]);

    await keystead.datasets.recontext("crm.person", { app: "crm", person: "no. {id}" });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { app: "crm", person: "no. {id}" } });

    const plain = await keystead.datasets.unprotect("crm.person");
    expect(plain).toMatchObject({ state: "done", progress: { values: filled, problems: 0 } });
    expect(readExactly(database, "person")).toEqual(original);
    expect(database.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  });

  it.each([
    {
      key: "composite",
      schema: "CREATE TABLE person (region TEXT, id VARCHAR(20), a, PRIMARY KEY (region, id))",
      keyColumns: ["region", "id"],
    },
    {
      key: "composite WITHOUT ROWID",
      schema: "CREATE TABLE person (region TEXT, id INTEGER, a, PRIMARY KEY (id DESC, region)) WITHOUT ROWID",
      keyColumns: ["region", "id"],
    },
    { key: "text", schema: "CREATE TABLE person (region, id TEXT PRIMARY KEY, a)", keyColumns: ["id"] },
    {
      key: "text NOCASE WITHOUT ROWID",
      schema: "CREATE TABLE person (region, id TEXT COLLATE NOCASE PRIMARY KEY, a) WITHOUT ROWID",
      keyColumns: ["id"],
    },
    { key: "unique, not primary", schema: "CREATE TABLE person (region, id TEXT NOT NULL UNIQUE, a)", keyColumns: ["id"] },
    { key: "binary", schema: "CREATE TABLE person (region, id BLOB PRIMARY KEY, a) WITHOUT ROWID", keyColumns: ["id"] },
  ])("work on a table whose key is $key", async ({ schema, keyColumns }) => {
    const { keystead, database } = await createCrm(schema);
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?)");
    const rows = 1100;
    database.exec("BEGIN");
    for (let id = 0; id < rows; id += 1) {
      const text = `${String.fromCodePoint(0x61 + (id % 26))}Ä${String(id * 7919)}`;
      insert.run(
        `r${String(id % 3)}`,
        schema.includes("id INTEGER") ? id : schema.includes("id BLOB") ? Buffer.from(text) : text,
        `${canaries.phone.text} ${String(id)}`,
      );
    }
    database.exec("COMMIT");
    const original = readExactly(database, "person", "a");
    logUpdates(database, "person", "id");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii" }, { keyColumns }));
    for (const job of ["protect", "unprotect"] as const) {
      const { progress } = await keystead.datasets[job]("crm.person");
      expect(progress).toMatchObject({ scanned: rows, replaced: rows, problems: 0, changed: 0 });
      const updates = [...takeUpdates(database).values()];
      expect(updates).toHaveLength(rows);
      expect(Math.max(...updates)).toBe(1);
    }
    expect(readExactly(database, "person", "a")).toEqual(original);
  });

  it("with kind value make what keystead.decrypt() opens, in text and in binary columns", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, note TEXT, scan BLOB)");
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?)");
    insert.run(1, canaries.name.text, Buffer.from([0xff, 0, 1]));
    insert.run(2, "", new Uint8Array());
    insert.run(3, null, null);
    const original = readExactly(database, "person");
    const columns = { note: { key: "pii", kind: "value" }, image: { column: "scan", key: "fin", kind: "value" } } as const;
    await keystead.datasets.add("crm.person", personDataset({}, { columns }));
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: 4, problems: 0 });
    const note = String(readColumn(database, "note").get("1"));
    const scan = readColumn(database, "scan").get("1");
    expect(await keystead.decryptText(note, { context: { dataset: "crm.person", "row.id": "1", column: "note" } })).toBe(
      canaries.name.text,
    );
    if (!(scan instanceof Uint8Array)) throw new Error("a binary column holds binary ciphertext");
    expect(await keystead.decrypt(scan, { context: { dataset: "crm.person", "row.id": "1", column: "image" } })).toEqual(
      Buffer.from([0xff, 0, 1]),
    );
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(original);
  });

  it("lease messages as they need them from keys that may seal only so many", async () => {
    const crm = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a, b, c, d, e)");
    const { keystead, database } = crm;
    database.exec(
      "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO person SELECT i, 'a', 'b', 'c', 'd', 'e' FROM n",
    );
    await keystead.keys.create({ name: "few", purpose: "medical", algorithm: "AES-256-GCM" });
    await keystead.datasets.add("crm.person", personDataset({ a: "few", b: "few", c: "few", d: "few", e: "few" }));
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ replaced: 1200, values: 6000, problems: 0 });
    expect(await counted(crm)).toEqual({ "few:1": 6000 });
    expect((await keystead.keys.usage("few", 1)).sealsInDatasets).toBeGreaterThanOrEqual(6000);
    expect((await keystead.keys.usage("few", 1)).sealsOutsideDatasets).toBe(0);
  });

  it("work on large values and long keys", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id TEXT PRIMARY KEY, a)");
    const long = "k".repeat(60_000);
    const insert = database.prepare("INSERT INTO person VALUES (?, ?)");
    insert.run(long, canaries.name.text.repeat(100_000));
    insert.run(`${long}${long}`, "its key is too long for a context");
    const original = readExactly(database, "person");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii" }));
    const { progress } = await keystead.datasets.protect("crm.person");
    expect(progress.firstProblems).toMatchObject([{ row: { id: `${"k".repeat(500)}…` }, code: "INVALID_ARGUMENT" }]);
    expect(progress.values).toBe(1);
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(original);
  });

  it("touch only the columns that the dataset names", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a, other)");
    database.exec("INSERT INTO person VALUES (1, 'x', 'ks1:pii:not ours')");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii" }));
    await keystead.datasets.protect("crm.person");
    expect(readColumn(database, "other").get("1")).toBe("ks1:pii:not ours");
  });

  it("change nothing when there is nothing to do", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a, b, c)");
    insertValues(database, 3);
    await keystead.datasets.add("crm.person", personDataset({ a: "pii", b: "fin" }));
    await keystead.datasets.unprotect("crm.person");
    await keystead.datasets.protect("crm.person");
    const before = dataVersion(database);
    for (const job of ["protect", "reencrypt", "verify", "index"] as const) {
      expect((await keystead.datasets[job]("crm.person")).progress).toMatchObject({ replaced: 0, values: 0, problems: 0 });
    }
    expect(dataVersion(database)).toBe(before);
  });

  it("move values that the application sealed under another key of the store to the column's key", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a)");
    await keystead.datasets.add("crm.person", personDataset({ a: "pii" }));
    const sealed = await keystead.encryptValue("fin", canaries.name.text, {
      dataset: "crm.person",
      context: { dataset: "crm.person", "row.id": "7", column: "a" },
    });
    database.prepare("INSERT INTO person VALUES (7, ?)").run(sealed);
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ replaced: 0, problems: 0 });
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ replaced: 1, problems: 0 });
    const moved = String(readColumn(database, "a").get("7"));
    expect(moved).toMatch(/^ks1:pii:1-/);
    expect(await keystead.decryptValue(moved, { context: { dataset: "crm.person", "row.id": "7", column: "a" } })).toBe(canaries.name.text);
  });

  it("name keys by their own names when the dataset was registered with an alias", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, a)");
    await keystead.keys.setAlias("personal", "pii");
    const { columns } = await keystead.datasets.add("crm.person", personDataset({ a: "personal" }));
    expect(columns).toMatchObject([{ name: "a", key: "pii" }]);
    database.exec("INSERT INTO person VALUES (1, 'x')");
    await keystead.datasets.protect("crm.person");
    await keystead.keys.setAlias("personal", "fin");
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ pass: 1, replaced: 0 });
  });
});
