import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { runWatched } from "../setup/watched-child.ts";
import { codeOf, fileStore, openTestKeystead, testMasterKeys } from "../support/test-keystead.ts";
import { type Crm, createCrm, personDataset } from "./support/crm.ts";

const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
const number = { columns: ["number"], column: "number_bi", key: "bi", kind: "exact", normalisers: ["none"], bits: 8 };
const both = { columns: ["name", "number"], column: "both_bi", key: "bi", kind: "compound", normalisers: ["text", "none"], bits: 64 };
const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, name, number, note, name_sx TEXT, number_bi TEXT, both_bi TEXT)";

/** Half of the persons sound like Robert, every two hundredth has the same number. */
async function createProtected(rows = 600): Promise<Crm> {
  const crm = await createCrm(schema);
  const insert = crm.database.prepare("INSERT INTO person (id, name, number, note) VALUES (?, ?, ?, ?)");
  crm.database.exec("BEGIN");
  for (let id = 1; id <= rows; id += 1) insert.run(id, id % 2 === 0 ? "Robert" : canaries.name.text, BigInt(id % 200), "note");
  crm.database.exec("COMMIT");
  const indexes = { sound, number, both };
  await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", number: "fin", note: "pii" }, { indexes }));
  await crm.keystead.datasets.protect("crm.person");
  return crm;
}

describe("the rows that a search returns", () => {
  it("are all that match, in key order, however many share a token with them; the limit counts them alone", async () => {
    // More candidates than a page of them has.
    const { keystead, database } = await createProtected(2500);
    const { datasets } = keystead;
    database.exec("UPDATE person SET number_bi = (SELECT number_bi FROM person WHERE id = 150) WHERE id BETWEEN 400 AND 2000");
    const ids = Array.from({ length: 12 }, (_, at) => String(150 + 200 * at));
    const found = await datasets.find("crm.person", "number", [150], { limit: 12 });
    expect(found.rows.map(({ row }) => row["id"])).toEqual(ids);
    expect(found).toMatchObject({ complete: true, more: false, unopenedRows: 0, firstUnopened: [] });
    const first = await datasets.find("crm.person", "number", [150], { limit: 2 });
    expect(first.rows.map(({ row }) => row["id"])).toEqual(ids.slice(0, 2));
    expect(first).toMatchObject({ complete: false, more: true, unopenedRows: 0 });
    const all = await datasets.find("crm.person", "sound", ["Rupert"], { limit: 1250 });
    expect({ rows: all.rows.length, complete: all.complete }).toEqual({ rows: 1250, complete: true });
    expect(await datasets.find("crm.person", "sound", ["Rupert"])).toMatchObject({ complete: false, more: true });
    expect(JSON.stringify(await keystead.audit.show())).toContain('"rows":2,"complete":false,"unopenedRows":0');
  });

  it("miss those that could not be compared: they are counted and named, the first hundred of them", async () => {
    const { keystead, database } = await createProtected();
    database.exec(`
      UPDATE person SET name = (SELECT name FROM person WHERE id = 4) WHERE id IN (2, 6);
      UPDATE person SET name = 'Robert' WHERE id = 8;
      UPDATE person SET note = (SELECT note FROM person WHERE id = 4) WHERE id IN (3, 10)`);
    const found = await keystead.datasets.find("crm.person", "sound", ["Rupert"]);
    expect({ rows: found.rows.length, complete: found.complete, more: found.more }).toEqual({
      rows: 297,
      complete: false,
      more: false,
    });
    expect(found.unopenedRows).toBe(3);
    expect(found.firstUnopened.map(({ row, column, code }) => `${row["id"] ?? ""} ${column} ${code}`)).toEqual([
      "2 name DECRYPTION_FAILED",
      "6 name DECRYPTION_FAILED",
      "8 name MALFORMED_CIPHERTEXT",
    ]);
    expect(found.firstUnopened[2]?.message).toContain("keystead datasets protect crm.person");
    const partial = found.rows.filter(({ unopened }) => Object.keys(unopened).length > 0);
    expect(partial).toEqual([{ row: { id: "10" }, values: { name: "Robert", number: 10n }, unopened: { note: "DECRYPTION_FAILED" } }]);
    database.exec("UPDATE person SET name = (SELECT name FROM person WHERE id = 4) WHERE id % 2 = 0 AND id <= 500");
    const many = await keystead.datasets.find("crm.person", "sound", ["Rupert"]);
    expect({ unopened: many.unopenedRows, named: many.firstUnopened.length }).toEqual({ unopened: 249, named: 100 });
  });

  it("are compared by the columns of the index alone: what the others are does not matter, and is not looked at in vain", async () => {
    const { keystead, clock } = await createProtected();
    await keystead.keys.rotate("fin");
    await keystead.keys.suspend("fin", 1, { reason: "test" });
    const found = await keystead.datasets.find("crm.person", "sound", ["Rupert"]);
    expect(found).toMatchObject({ complete: true, unopenedRows: 0 });
    expect(found.rows[0]).toEqual({ row: { id: "2" }, values: { name: "Robert", note: "note" }, unopened: { number: "KEY_STATE" } });
    const refused = (await keystead.keys.usage("fin", 1)).refusals;
    expect(refused).toBe(300);
    clock.advance(1);
    expect(await keystead.datasets.find("crm.person", "both", ["Robert", 150])).toMatchObject({
      complete: false,
      unopenedRows: 3,
      firstUnopened: [{ row: { id: "150" }, column: "number", code: "KEY_STATE" }, { row: { id: "350" } }, { row: { id: "550" } }],
    });
  });

  it("don't include a value that no index holds, whose token is left from another", async () => {
    const { keystead, database } = await createProtected();
    const key = await keystead.open("fin", { dataset: "crm.person" });
    const seal = (id: number, value: Parameters<typeof key.encryptValue>[0]): string =>
      key.encryptValue(value, { dataset: "crm.person", "row.id": String(id), column: "number" });
    const update = database.prepare("UPDATE person SET number = ? WHERE id = ?");
    update.run(seal(150, 150.5), 150);
    update.run(seal(350, { json: 150 }), 350);
    await key.close();
    const found = await keystead.datasets.find("crm.person", "number", [150]);
    expect(found).toMatchObject({ complete: true, rows: [{ row: { id: "550" } }] });
  });

  it("give values of kind value as bytes where the plaintext is no text", async () => {
    const { keystead, database } = await createCrm(schema);
    database.exec("INSERT INTO person (id, name, note) VALUES (1, 'Robert', 'text'), (2, 'Robert', 'text')");
    const columns = { name: { key: "pii", kind: "value" }, note: { key: "pii", kind: "value" } } as const;
    await keystead.datasets.add("crm.person", personDataset({}, { columns, indexes: { sound } }));
    await keystead.datasets.protect("crm.person");
    const seal = (row: number, column: string): Promise<string> =>
      keystead.encrypt("pii", Buffer.from([0xff]), {
        dataset: "crm.person",
        context: { dataset: "crm.person", "row.id": String(row), column },
      });
    const update = database.prepare("UPDATE person SET name = coalesce(?, name), note = coalesce(?, note) WHERE id = ?");
    update.run(null, await seal(1, "note"), 1);
    update.run(await seal(2, "name"), null, 2);
    expect(await keystead.datasets.find("crm.person", "sound", ["Robert"])).toMatchObject({
      rows: [{ row: { id: "1" }, values: { name: "Robert", note: Buffer.from([0xff]) }, unopened: {} }],
      complete: true,
    });
  });
});

describe("a search that can't be answered whole", () => {
  it("is stopped by its signal", async () => {
    const { keystead } = await createProtected();
    const search = keystead.datasets.find("crm.person", "sound", ["Robert"], { signal: AbortSignal.abort() });
    expect(await codeOf(search)).toBe("CANCELLED");
  });

  it("fails when a KEK does not open a version, instead of trying for ever; so do jobs", async () => {
    const crm = await createCrm(schema);
    crm.database.exec("INSERT INTO person (id, name, number) VALUES (1, 'Robert', 1)");
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` } };
    const masterKeys = { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } };
    const first = await initKeystead({ ...options, masterKeys });
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await first.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await first.datasets.protect("crm.person");
    const second = await openTestKeystead(options);
    const held = [await second.open("pii"), await second.open("bi")];
    await first.keks.rotate("local:main", "local:next");
    await first.keys.rotate("pii");
    await first.datasets.reencrypt("crm.person");
    expect(await codeOf(second.datasets.find("crm.person", "sound", ["Robert"]))).toBe("KEY_VERSION_NOT_LOADED");
    expect(await codeOf(second.datasets.verify("crm.person"))).toBe("KEY_VERSION_NOT_LOADED");
    for (const handle of held) await handle.close();
    await first.close();
  });

  it("is refused when the index stopped covering every row meanwhile", async () => {
    const crm = await createCrm(schema);
    crm.database.exec(
      "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO person (id, name) SELECT i, 'Robert' FROM n",
    );
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` } };
    const keystead = await initKeystead(options);
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await keystead.datasets.protect("crm.person");
    const program = fileURLToPath(new URL("support/job-process.ts", import.meta.url));
    const unprotect = (): void => {
      const args = ["--disable-warning=ExperimentalWarning", program, options.store, crm.path, "unprotect"];
      const { stdout } = runWatched(process.execPath, args, { input: "go\n" });
      expect(stdout).toContain("done 1500 0");
    };
    let looks = 0;
    const signal = new Proxy(new AbortController().signal, {
      get: (target, name) => {
        if (name !== "aborted") return Reflect.get(target, name, target) as unknown;
        looks += 1;
        // Before the second page.
        if (looks === 2) unprotect();
        return false;
      },
    });
    expect(await codeOf(keystead.datasets.find("crm.person", "sound", ["Rupert"], { limit: 2000, signal }))).toBe("CONFLICT");
    expect(await codeOf(keystead.datasets.find("crm.person", "sound", ["Rupert"]))).toBe("JOB_INCOMPLETE");
    await keystead.close();
  });
});
