import { describe, expect, it } from "vitest";
import type { DatasetIndexInput, DatasetInput } from "../../src/index.ts";
import { initKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { SleepyClock } from "../support/sleepy-clock.ts";
import { codeOf, fileStore, openTestKeystead } from "../support/test-keystead.ts";
import { type Crm, createCrm, personDataset, queryNumber, readColumn } from "./support/crm.ts";
import { pauseAt } from "./support/persons.ts";

const schema =
  "CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT, email TEXT, income INTEGER, name_sx TEXT, email_bi TEXT, notes TEXT)";
const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
const email: DatasetIndexInput = { columns: ["email"], column: "email_bi", key: "bi", kind: "exact", normalisers: ["email"] };
const rows = 1200;

async function createPersons(more: Partial<DatasetInput> = {}): Promise<Crm> {
  const crm = await createCrm(schema);
  crm.database.exec(
    `WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${String(rows)})
     INSERT INTO person (id, tenant, name, email, notes) SELECT i, 'acme', 'Robert', 'p' || i || '@example.org', 'a note' FROM n`,
  );
  await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }, { indexes: { sound }, ...more }));
  return crm;
}

describe("an index that is added later", () => {
  it("is planned, refuses searches, is filled by the index job, and then finds every row; the others go on", async () => {
    const { keystead, database } = await createPersons();
    const { datasets } = keystead;
    await datasets.protect("crm.person");
    const added = await datasets.addIndex("crm.person", "mail", email);
    const plan = await datasets.planIndex("crm.person", { columns: ["email"], kind: "exact", normalisers: ["email"] });
    expect(added.rows).toBe(rows);
    expect(added.advice.join()).toContain('"email_bi"');
    expect(added.indexes).toEqual((await datasets.show("crm.person")).indexes);
    expect(added.indexes).toMatchObject([
      { index: "mail", generation: 1, state: "building", kind: "exact", normaliser: "email", bits: plan.recommended.bits },
      { index: "sound", generation: 1, state: "live" },
    ]);
    expect(plan.recommended.bits).toBeGreaterThan(8);
    expect(queryNumber(database, "SELECT count(email_bi) FROM person")).toBe(0);
    expect(await codeOf(datasets.find("crm.person", "mail", ["p7@example.org"]))).toBe("JOB_INCOMPLETE");
    expect((await datasets.find("crm.person", "sound", ["Rupert"], { limit: rows })).complete).toBe(true);
    // An application that reads the indexes now writes the new tokens.
    expect(Object.keys((await datasets.recordDefinition("crm.person")).indexes ?? {})).toEqual(["name_sx", "email_bi"]);
    expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: rows, problems: 0 });
    expect(await datasets.find("crm.person", "mail", ["P7@example.org"])).toMatchObject({ rows: [{ row: { id: "7" } }], complete: true });
    expect((await keystead.audit.show()).find(({ action }) => action === "datasets.add-index")).toMatchObject({
      dataset: "crm.person",
      detail: { index: "mail" },
    });
    expect((await keystead.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
  });

  it("is filled by protect, too, and survives in the store", async () => {
    const crm = await createPersons();
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` } };
    const first = await initKeystead(options);
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await first.keys.setAlias("search", "bi");
    await first.datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }));
    await first.datasets.addIndex("crm.person", "mail", { ...email, key: "search", bits: 16 });
    await first.close();
    const second = await openTestKeystead(options);
    await second.keys.setAlias("search", "pii");
    await second.datasets.protect("crm.person");
    expect((await second.datasets.find("crm.person", "mail", ["p7@example.org"])).rows).toHaveLength(1);
    expect((await second.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
  });

  it.each(["protect", "index"] as const)("is not taken for filled when a paused %s goes on from the middle of the table", async (job) => {
    const { keystead, database } = await createPersons();
    const { datasets } = keystead;
    if (job === "index") await datasets.protect("crm.person");
    expect(await datasets[job]("crm.person", pauseAt(500).options)).toMatchObject({ state: "paused" });
    await datasets.addIndex("crm.person", "mail", { ...email, bits: 32 });
    const result = await datasets[job]("crm.person");
    expect(result).toMatchObject({ state: "done", progress: { scanned: rows, problems: 0 } });
    expect(queryNumber(database, "SELECT count(email_bi) FROM person")).toBe(rows);
    for (const id of [3, 900]) {
      expect(await datasets.find("crm.person", "mail", [`p${String(id)}@example.org`])).toMatchObject({
        rows: [{ row: { id: String(id) } }],
      });
    }
  });

  it("waits for a job that works on the dataset, which would not fill it", async () => {
    const { keystead } = await createPersons();
    const { datasets } = keystead;
    const attempts: Promise<string>[] = [];
    await datasets.protect("crm.person", {
      onProgress: () => attempts.push(codeOf(datasets.addIndex("crm.person", "mail", { ...email, bits: 32 }))),
    });
    const codes = await Promise.all(attempts);
    expect(codes[0]).toBe("CONFLICT");
    expect((await datasets.show("crm.person")).indexes.map(({ state }) => state)).not.toContain("retired");
  });

  it("takes a job away from a process that stood still for so long that its lease ran out", async () => {
    const crm = await createPersons();
    const clock = new SleepyClock();
    const options = { ...fileStore(crm.folder), databases: { crm: `sqlite:${crm.path}` }, clock };
    const first = await initKeystead(options);
    await first.keys.create({ name: "pii", purpose: "pii" });
    await first.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await first.datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }));
    const second = await openTestKeystead(options);
    clock.onWait = () => {
      clock.advance(31_000);
      return second.datasets.addIndex("crm.person", "mail", { ...email, bits: 32 });
    };
    expect(await codeOf(first.datasets.protect("crm.person", { rowsPerSecond: 500 }))).toBe("CONFLICT");
    expect((await second.datasets.show("crm.person")).indexes).toMatchObject([{ index: "mail", state: "building" }]);
    await first.close();
    await second.datasets.protect("crm.person");
    expect(queryNumber(crm.database, "SELECT count(email_bi) FROM person")).toBe(rows);
  });

  it.each<[what: string, index: string, change: Readonly<Record<string, unknown>>, code: string, words: RegExp]>([
    ["a name that is taken", "sound", {}, "NAME_TAKEN", /the dataset has an index sound already/],
    ["a name that is none", "1st index", {}, "INVALID_ARGUMENT", /beginning with a letter/],
    ["an unknown column to index", "mail", { columns: ["nobody"] }, "INVALID_ARGUMENT", /names column "nobody"/],
    ["a column that is protected", "mail", { column: "name" }, "INVALID_ARGUMENT", /column name is named twice/],
    ["a column that another index has", "mail", { column: "NAME_SX" }, "INVALID_ARGUMENT", /NAME_SX is named twice/],
    ["a column that isn't there", "mail", { column: "nothing" }, "DATASET_UNSUITABLE", /no column "nothing"/],
    ["a column of numbers", "mail", { column: "income" }, "DATASET_UNSUITABLE", /declare it TEXT/],
    [
      "a column in which something is",
      "mail",
      { column: "notes" },
      "DATASET_UNSUITABLE",
      /notes of table person holds 1200 values .* name an empty column/,
    ],
    ["an unknown key", "mail", { key: "nobody" }, "UNKNOWN_KEY", /nobody/],
    ["a key of another usage", "mail", { key: "pii" }, "KEY_USAGE", /usage blind-index/],
    ["an unknown kind", "mail", { kind: "guess" }, "INVALID_ARGUMENT", /kind of index/],
    ["an unknown normaliser", "mail", { normalisers: ["guess"] }, "INVALID_ARGUMENT", /normaliser/],
    ["too few bits", "mail", { bits: 1 }, "INVALID_ARGUMENT", /bits/],
    ["an unknown field", "mail", { bitz: 9 }, "INVALID_ARGUMENT", /bitz/],
    ["a prototype", "mail", JSON.parse('{"__proto__": {"bits": 9}}') as Record<string, unknown>, "INVALID_ARGUMENT", /__proto__/],
  ])("is refused with %s, and nothing of it stays", async (_, index, change, code, words) => {
    const { keystead, database } = await createPersons();
    const before = await keystead.datasets.show("crm.person");
    const notes = readColumn(database, "notes");
    const input = Object.hasOwn(change, "__proto__") ? change : { ...email, ...change };
    const attempt = keystead.datasets.addIndex("crm.person", index, input as DatasetIndexInput);
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(words) as unknown });
    expect(await keystead.datasets.show("crm.person")).toEqual(before);
    expect(readColumn(database, "notes")).toEqual(notes);
    expect(await codeOf(keystead.datasets.addIndex("crm.persons", "mail", email))).toBe("UNKNOWN_DATASET");
  });

  it("is refused at registration when its column holds something else, which jobs would write over", async () => {
    const { keystead } = await createCrm(`${schema}; INSERT INTO person (id, name_sx) VALUES (1, '${canaries.name.text}')`);
    const attempt = keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await expect(attempt).rejects.toThrow(/name_sx of table person holds 1 values that are no index tokens/);
  });
});

describe("two datasets on one table", () => {
  const other = (more: Partial<DatasetInput>): DatasetInput => personDataset({ income: "fin" }, more);

  it.each<[what: string, input: DatasetInput, words: RegExp]>([
    [
      "protect a column",
      personDataset({ email: "fin" }),
      /dataset crm.person protects column email of table person already.*datasets show crm.person/,
    ],
    [
      "protect a column under another name, in other letters",
      personDataset({}, { columns: { x: { column: "EMAIL", key: "fin" } } }),
      /protects column email/,
    ],
    ["protect what the other fills with tokens", personDataset({ name_sx: "fin" }), /fills column name_sx/],
    ["fill a column", other({ indexes: { i: { ...sound, columns: ["income"] } } }), /dataset crm.person fills column name_sx/],
    [
      "fill what the other protects",
      other({ indexes: { i: { ...sound, columns: ["income"], column: "email" } } }),
      /protects column email/,
    ],
    ["bind values to what the other protects", other({ context: { row: "{id}", name: "{name}" } }), /protects column name/],
    ["protect what the other binds values to", personDataset({ tenant: "fin" }), /identifies rows by column tenant/],
  ])("can't %s", async (_, input, words) => {
    const { keystead } = await createPersons({ context: { tenant: "{tenant}", row: "{id}" } });
    const attempt = keystead.datasets.add("crm.twin", input);
    await expect(attempt).rejects.toMatchObject({ code: "DATASET_UNSUITABLE", message: expect.stringMatching(words) as unknown });
    expect(await keystead.datasets.list()).toHaveLength(1);
  });

  it("can't come to that by a later index or another context either", async () => {
    const { keystead } = await createPersons({ context: { tenant: "{tenant}", row: "{id}" } });
    const { datasets } = keystead;
    await datasets.add("crm.twin", other({ context: { row: "{id}" } }));
    const index = { ...sound, columns: ["income"] };
    await expect(datasets.addIndex("crm.twin", "i", index)).rejects.toThrow(/dataset crm.person fills column name_sx/);
    await expect(datasets.recontext("crm.twin", { row: "{id}", name: "{name}" })).rejects.toThrow(
      /dataset crm.person protects column name/,
    );
    expect((await datasets.show("crm.twin")).nextContext).toBeUndefined();
    expect(await datasets.addIndex("crm.twin", "i", { ...index, column: "email_bi" })).toMatchObject({ indexes: [{ index: "i" }] });
    await expect(datasets.addIndex("crm.person", "mail", email)).rejects.toThrow(/dataset crm.twin fills column email_bi/);
  });

  it("can share what identifies rows, and each protects its own", async () => {
    const { keystead, database } = await createPersons({ context: { tenant: "{tenant}", row: "{id}" } });
    database.exec("UPDATE person SET notes = NULL, income = 5");
    await keystead.datasets.add("crm.twin", personDataset({ notes: "fin" }, { context: { tenant: "{tenant}", row: "{id}" } }));
    for (const name of ["crm.person", "crm.twin"]) expect((await keystead.datasets.protect(name)).progress.problems).toBe(0);
    for (const name of ["crm.person", "crm.twin"]) expect((await keystead.datasets.verify(name)).progress.problems).toBe(0);
  });

  it("are no twins when the tables or the databases are different, and a name is taken before anything else", async () => {
    const { keystead, database } = await createPersons();
    database.exec("CREATE TABLE people (id INTEGER PRIMARY KEY, name, email)");
    expect(await keystead.datasets.add("crm.people", { ...personDataset({ email: "pii" }), table: "people" })).toMatchObject({ rows: 0 });
    await expect(keystead.datasets.add("crm.person", personDataset({ name: "pii" }))).rejects.toMatchObject({
      code: "NAME_TAKEN",
      message: expect.stringContaining("keystead datasets index crm.person --add") as unknown,
    });
  });
});
