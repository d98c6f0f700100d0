import { describe, expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import { codeOf } from "../support/test-keystead.ts";
import {
  type Crm,
  createCrm,
  logUpdates,
  personDataset,
  problemsOf,
  queryNumber,
  readColumn,
  readExactly,
  takeUpdates,
} from "./support/crm.ts";

const schema = `
  CREATE TABLE person (id INTEGER PRIMARY KEY, name, email TEXT, number, scan BLOB,
    name_sx TEXT, email_bi TEXT, tail_bi TEXT, both_bi TEXT, number_bi TEXT)`;

const indexes = {
  sound: { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 },
  email: { columns: ["email"], column: "email_bi", key: "bi", kind: "exact", normalisers: ["email"], bits: 64 },
  tail: { columns: ["email"], column: "tail_bi", key: "bi", kind: "last(4)", normalisers: ["none"], bits: 16 },
  both: { columns: ["name", "number"], column: "both_bi", key: "bi", kind: "compound", normalisers: ["text", "none"], bits: 64 },
  number: { columns: ["number"], column: "number_bi", key: "bi", kind: "exact", normalisers: ["none"], bits: 8 },
};

const tokens = ["name_sx", "email_bi", "tail_bi", "both_bi", "number_bi"] as const;

async function createIndexed(): Promise<Crm> {
  const crm = await createCrm(schema);
  const insert = crm.database.prepare("INSERT INTO person (id, name, email, number, scan) VALUES (?, ?, ?, ?, ?)");
  crm.database.exec("BEGIN");
  insert.run(1, canaries.name.text, canaries.email.text, 17n, Buffer.from([0xff, 1]));
  insert.run(2, "Robert", "bob@example.org", 17n, null);
  insert.run(3, null, null, null, new Uint8Array());
  insert.run(4, "Rupert", "Anna@Example.ORG", 2n ** 62n, Buffer.from("text"));
  for (let id = 5; id < 400; id += 1) insert.run(id, "", "", BigInt(id) * 1000n, null);
  crm.database.exec("COMMIT");
  const columns = {
    name: { key: "pii" },
    email: { key: "pii", kind: "value" },
    number: { key: "fin" },
    scan: { key: "fin", kind: "value" },
  } as const;
  await crm.keystead.datasets.add("crm.person", personDataset({}, { columns, indexes }));
  return crm;
}

async function foundIds({ keystead }: Crm, index: string, ...search: (string | number | bigint)[]): Promise<string[]> {
  const { rows, complete } = await keystead.datasets.find("crm.person", index, search);
  expect(complete).toBe(true);
  return rows.map(({ row }) => row["id"] ?? "").sort();
}

describe("searching a protected table", () => {
  it("finds by exact value, end, sound and several columns; every hit is opened and compared", async () => {
    const crm = await createIndexed();
    logUpdates(crm.database);
    expect((await crm.keystead.datasets.protect("crm.person")).progress).toMatchObject({ problems: 0, pass: 1 });
    expect([...takeUpdates(crm.database).values()].every((times) => times === 1)).toBe(true);
    expect(await foundIds(crm, "sound", "Rubert")).toEqual(["2", "4"]);
    expect(await foundIds(crm, "email", "anna@example.org")).toEqual(["4"]);
    expect(await foundIds(crm, "email", canaries.email.text.toUpperCase())).toEqual(["1"]);
    expect(await foundIds(crm, "tail", ".ORG")).toEqual(["4"]);
    expect(await foundIds(crm, "both", "ROBERT", 17)).toEqual(["2"]);
    expect(await foundIds(crm, "number", 17)).toEqual(["1", "2"]);
    expect(await foundIds(crm, "number", 2n ** 62n)).toEqual(["4"]);
    expect(await foundIds(crm, "number", 18)).toEqual([]);
    // With 8 bits some rows of other numbers have the same token.
    expect(
      queryNumber(crm.database, "SELECT count(*) FROM person WHERE number_bi = (SELECT number_bi FROM person WHERE id = 1)"),
    ).toBeGreaterThanOrEqual(2);
    for (const column of tokens) expect(readColumn(crm.database, column).get("3")).toBeNull();
  });

  it("gives values with their types, and names those that don't open", async () => {
    const crm = await createIndexed();
    await crm.keystead.datasets.protect("crm.person");
    crm.database.exec("UPDATE person SET scan = (SELECT scan FROM person WHERE id = 4) WHERE id = 2");
    const found = await crm.keystead.datasets.find("crm.person", "number", [17]);
    const first = { name: canaries.name.text, email: canaries.email.text, number: 17n, scan: Buffer.from([0xff, 1]) };
    expect(found).toEqual({
      rows: [
        { row: { id: "1" }, values: first, unopened: {} },
        { row: { id: "2" }, values: { name: "Robert", email: "bob@example.org", number: 17n }, unopened: { scan: "DECRYPTION_FAILED" } },
      ],
      complete: true,
      more: false,
      unopenedRows: 0,
      firstUnopened: [],
    });
    const [other] = (await crm.keystead.datasets.find("crm.person", "number", [2n ** 62n])).rows;
    expect(other?.values["scan"]).toEqual(Buffer.from("text"));
  });

  it("is refused while rows may lack tokens: before protect, during it, after unprotect", async () => {
    const crm = await createIndexed();
    const { keystead } = crm;
    const search = (): Promise<string> => codeOf(keystead.datasets.find("crm.person", "sound", ["Robert"]));
    const states = async (): Promise<string[]> => [
      ...new Set((await keystead.datasets.show("crm.person")).indexes.map(({ state }) => state)),
    ];
    expect(await search()).toBe("JOB_INCOMPLETE");
    expect(await states()).toEqual(["building"]);
    await keystead.datasets.index("crm.person");
    expect(await search()).toBe("JOB_INCOMPLETE");
    await keystead.datasets.protect("crm.person", { dryRun: true });
    expect(await search()).toBe("JOB_INCOMPLETE");
    await keystead.datasets.protect("crm.person");
    expect(await search()).toBe("no error");
    expect(await states()).toEqual(["live"]);
    await keystead.datasets.unprotect("crm.person", { dryRun: true });
    expect(await search()).toBe("no error");
    crm.database.exec("ALTER TABLE person RENAME TO away");
    expect(await codeOf(keystead.datasets.unprotect("crm.person"))).toBe("DATASET_UNSUITABLE");
    crm.database.exec("ALTER TABLE away RENAME TO person");
    expect(await search()).toBe("no error");
    const controller = new AbortController();
    controller.abort();
    expect((await keystead.datasets.unprotect("crm.person", { signal: controller.signal })).state).toBe("paused");
    expect(await search()).toBe("JOB_INCOMPLETE");
    await keystead.datasets.unprotect("crm.person");
    expect(await search()).toBe("JOB_INCOMPLETE");
    expect(queryNumber(crm.database, `SELECT count(coalesce(${tokens.join(", ")})) FROM person`)).toBe(0);
    await keystead.datasets.protect("crm.person");
    expect(await foundIds(crm, "sound", "Robert")).toEqual(["2", "4"]);
  });

  it("finds what the application changed without tokens once they are made anew", async () => {
    const crm = await createIndexed();
    const { keystead, database } = crm;
    await keystead.datasets.protect("crm.person");
    const original = readExactly(database, "person");
    database.exec(
      "UPDATE person SET name_sx = NULL WHERE id = 2; UPDATE person SET name_sx = '1.wrong', email_bi = 'nonsense' WHERE id = 4; UPDATE person SET tail_bi = '1.stale' WHERE id = 3",
    );
    expect(await foundIds(crm, "sound", "Robert")).toEqual([]);
    expect((await keystead.datasets.index("crm.person")).progress).toMatchObject({ replaced: 3, values: 0, problems: 0 });
    expect(readExactly(database, "person")).toEqual(original);
    database.exec("UPDATE person SET name = 'Ruppert' WHERE id = 10");
    expect(await foundIds(crm, "sound", "Robert")).toEqual(["2", "4"]);
    await keystead.datasets.protect("crm.person");
    expect(await foundIds(crm, "sound", "Robert")).toEqual(["10", "2", "4"]);
    database.exec("UPDATE person SET name = NULL WHERE id = 10");
    await keystead.datasets.index("crm.person");
    expect(readColumn(database, "name_sx").get("10")).toBeNull();
  });

  it("reports values that no index holds, which are protected all the same", async () => {
    const crm = await createIndexed();
    crm.database.exec("UPDATE person SET number = 1.5 WHERE id = 2");
    const result = await crm.keystead.datasets.protect("crm.person");
    expect(problemsOf(result)).toEqual(["2 both INVALID_ARGUMENT", "2 number INVALID_ARGUMENT"]);
    expect(result.census?.columns.map(({ plaintext }) => plaintext)).toEqual([0, 0, 0, 0]);
    expect(await foundIds(crm, "sound", "Robert")).toEqual(["2", "4"]);
  });

  it("is refused while protect had to leave plaintext in a column of an index", async () => {
    const crm = await createIndexed();
    crm.database.exec("UPDATE person SET name = CAST(x'ff' AS TEXT) WHERE id = 2");
    expect(problemsOf(await crm.keystead.datasets.protect("crm.person"))).toEqual(["2 name INVALID_ARGUMENT"]);
    expect(await codeOf(crm.keystead.datasets.find("crm.person", "sound", ["Robert"]))).toBe("JOB_INCOMPLETE");
    crm.database.exec("UPDATE person SET name = 'Robert' WHERE id = 2");
    await crm.keystead.datasets.protect("crm.person");
    expect(await foundIds(crm, "sound", "Robert")).toEqual(["2", "4"]);
  });

  it("refuses what can't be a search", async () => {
    const { keystead } = await createIndexed();
    await keystead.datasets.protect("crm.person");
    const { datasets } = keystead;
    expect(await codeOf(datasets.find("crm.person", "nothing", ["x"]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "sound", []))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "sound", ["a", "b"]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "both", ["a"]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "sound", ["\ud800"]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "sound", ["  "]))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(datasets.find("crm.person", "number", [1.5]))).toBe("INVALID_ARGUMENT");
    for (const limit of [0, -1, 0.5, 100_001, Number.NaN]) {
      expect(await codeOf(datasets.find("crm.person", "sound", ["x"], { limit }))).toBe("INVALID_ARGUMENT");
    }
    expect((await datasets.find("crm.person", "number", [17], { limit: 100_000 })).rows).toHaveLength(2);
  });

  it("counts tokens in the census", async () => {
    const { keystead, database } = await createIndexed();
    await keystead.datasets.protect("crm.person");
    database.exec("UPDATE person SET email_bi = 'nonsense' WHERE id = 1");
    const { indexes: counted } = await keystead.datasets.takeCensus("crm.person");
    const filled = queryNumber(database, "SELECT count(email_bi) FROM person");
    expect(counted.find(({ index }) => index === "email")).toEqual({
      index: "email",
      column: "email_bi",
      generations: { "1": filled - 1 },
      none: 399 - filled,
      malformed: 1,
    });
  });
});
