import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type CodecConfig, type DatasetInput, initKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { codeOf, fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { nonceOf, sealForeign } from "./codecs/foreign.ts";
import { type Crm, createCrm, personDataset, problemsOf, queryNumber, readColumn, readExactly } from "./support/crm.ts";
import { pauseAt } from "./support/persons.ts";

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT, email TEXT, phone TEXT, email_index TEXT, both_index TEXT)";
const legacyKey = createHash("sha256").update("legacy").digest();
const otherKey = createHash("sha256").update("other").digest();
const legacy: CodecConfig = {
  type: "plain-aead",
  algorithm: "aes-256-gcm",
  keys: [{ bytes: legacyKey }],
  aad: "{table}.{column}.{row.tenant}",
  prefix: "v1.",
};
const codecs = { legacy, wrongKey: { ...legacy, keys: [{ bytes: otherKey }] }, wrongForm: { ...legacy, prefix: "v2." } };
const indexes: DatasetInput["indexes"] = {
  email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"], bits: 24 },
  both: { columns: ["email", "phone"], column: "both_index", key: "bi", kind: "compound", normalisers: ["email", "digits"], bits: 24 },
};

let nonces = 0;
function sealLegacy(text: string, column: string, tenant = "a", key = legacyKey): string {
  const { nonce, ciphertext, tag } = sealForeign("aes-256-gcm", key, nonceOf((nonces += 1)), text, `person.${column}.${tenant}`);
  return `v1.${Buffer.concat([nonce, ciphertext, tag]).toString("base64")}`;
}

/** Persons of another system: of each the e-mail encrypted, of each second the phone. */
async function createForeign(rows: number, more: Partial<DatasetInput> = {}): Promise<Crm> {
  const crm = await createCrm(schema, { codecs });
  const insert = crm.database.prepare("INSERT INTO person (id, tenant, email, phone) VALUES (?, 'a', ?, ?)");
  crm.database.exec("BEGIN");
  for (let id = 1; id <= rows; id += 1)
    insert.run(id, sealLegacy(emailOf(id), "email"), id % 2 === 0 ? sealLegacy(`+49 ${String(id)}`, "phone") : null);
  crm.database.exec("COMMIT");
  await crm.keystead.datasets.add("crm.person", personDataset({ email: "pii", phone: "pii" }, more));
  return crm;
}

function emailOf(id: number): string {
  return id === 1 ? canaries.email.text : `p${String(id)}@example.org`;
}

async function plaintexts({ keystead, database }: Crm, column: string): Promise<Map<string, unknown>> {
  const opened = new Map<string, unknown>();
  for (const [id, sealed] of readColumn(database, column)) {
    const context = { dataset: "crm.person", "row.id": id, column };
    opened.set(id, typeof sealed === "string" ? await keystead.decryptValue(sealed, { context }) : sealed);
  }
  return opened;
}

describe("reencrypt from a codec", () => {
  it("moves what another system encrypted to Keystead, fills the indexes, and leaves NULL", async () => {
    const crm = await createForeign(1100, { indexes });
    const { keystead } = crm;
    const { kind, state, progress, census } = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    expect({ kind, state }).toEqual({ kind: "import", state: "done" });
    expect(progress).toMatchObject({ scanned: 1100, replaced: 1100, values: 1650, problems: 0 });
    expect(census?.columns).toMatchObject([
      { column: "email", plaintext: 0, versions: [{ standing: "current", count: 1100 }] },
      { column: "phone", nulls: 550, plaintext: 0, versions: [{ standing: "current", count: 550 }] },
    ]);
    const emails = await plaintexts(crm, "email");
    expect([...emails]).toEqual(Array.from({ length: 1100 }, (_, index) => [String(index + 1), emailOf(index + 1)]));
    expect([...(await plaintexts(crm, "phone"))].filter(([, value]) => value === null)).toHaveLength(550);
    const found = await keystead.datasets.find("crm.person", "both", ["P44@example.org", "4944"]);
    expect(found).toMatchObject({ complete: true, rows: [{ row: { id: "44" } }] });
    expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress).toMatchObject({ replaced: 0, problems: 0 });
    const audit = JSON.stringify(await keystead.audit.show());
    expect(audit).toContain('"action":"datasets.import"');
    expect(audit).toContain('"from":"legacy"');
  });

  it("dry run says what would be done and what does not open, and stores nothing", async () => {
    const { keystead, database } = await createForeign(600);
    database.exec("UPDATE person SET email = 'plain@example.org' WHERE id = 7; UPDATE person SET tenant = 'b' WHERE id = 9");
    const before = readExactly(database, "person");
    const dry = await keystead.datasets.reencrypt("crm.person", { from: "legacy", dryRun: true });
    expect(dry.progress).toMatchObject({ scanned: 600, replaced: 598, values: 898, problems: 2 });
    expect(problemsOf(dry)).toEqual(["7 email MALFORMED_CIPHERTEXT", "9 email DECRYPTION_FAILED"]);
    expect(readExactly(database, "person")).toEqual(before);
    expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress).toMatchObject({ replaced: 598, problems: 2 });
  });

  it("reports what does not open and what is no ciphertext at all, never seals it, and takes it in once it is repaired", async () => {
    const crm = await createForeign(900, { indexes });
    const { keystead, database } = crm;
    const good = String(readColumn(database, "email").get("450"));
    const damaged = `${good.slice(0, 20)}${good[20] === "A" ? "B" : "A"}${good.slice(21)}`;
    const set = database.prepare("UPDATE person SET email = ? WHERE id = ?");
    for (const [id, value] of [
      [450, damaged],
      [451, canaries.email.text],
      [452, ""],
      [453, good],
      [454, 17.5],
    ] as const)
      set.run(value, id);
    const first = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    // A value of another row opens here: the other system bound it to table, column and tenant alone.
    expect({ state: first.state, problems: problemsOf(first) }).toEqual({
      state: "done",
      problems: [
        "450 email DECRYPTION_FAILED",
        "451 email MALFORMED_CIPHERTEXT",
        "452 email MALFORMED_CIPHERTEXT",
        "454 email MALFORMED_CIPHERTEXT",
      ],
    });
    expect([...readColumn(database, "email")].filter(([, value]) => !String(value).startsWith("ks1:pii:"))).toEqual([
      ["450", damaged],
      ["451", canaries.email.text],
      ["452", ""],
      ["454", "17.5"],
    ]);
    expect(await codeOf(keystead.datasets.find("crm.person", "email", ["p3@example.org"]))).toBe("JOB_INCOMPLETE");
    expect(JSON.stringify(first)).not.toContain(canaries.email.text);
    for (const id of [450, 451, 452, 454]) set.run(sealLegacy(emailOf(id), "email"), id);
    const second = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    expect(second.progress).toMatchObject({ replaced: 4, problems: 0 });
    expect(await keystead.datasets.find("crm.person", "email", ["p451@example.org"])).toMatchObject({ rows: [{ row: { id: "451" } }] });
  });

  it("treats Keystead's own values as reencrypt does, and indexes rows that have both", async () => {
    const crm = await createForeign(20, { indexes });
    const { keystead, database } = crm;
    const context = (id: number, column: string) => ({ dataset: "crm.person", "row.id": String(id), column });
    const set = database.prepare("UPDATE person SET email = ? WHERE id = ?");
    for (const id of [2, 4]) set.run(await keystead.encryptValue("pii", emailOf(id), { context: context(id, "email") }), id);
    await keystead.keys.rotate("pii");
    set.run(await keystead.encryptValue("pii", emailOf(4), { context: context(4, "email") }), 4);
    const { progress, census } = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    expect(progress).toMatchObject({ replaced: 20, values: 29, problems: 0 });
    expect(census?.columns.map(({ versions }) => versions)).toMatchObject([[{ count: 20, standing: "current" }], [{ count: 10 }]]);
    for (const id of [2, 4])
      expect((await keystead.datasets.find("crm.person", "both", [emailOf(id), `49${String(id)}`])).rows).toMatchObject([
        { row: { id: String(id) } },
      ]);
  });

  it("takes in the columns that are named, and leaves others as they are", async () => {
    const { keystead, database } = await createForeign(30, { indexes });
    const phones = [...readColumn(database, "phone")];
    const { progress, census, state } = await keystead.datasets.reencrypt("crm.person", { from: "legacy", columns: ["email"] });
    expect({ state, progress }).toMatchObject({ state: "done", progress: { pass: 1, values: 30, problems: 0 } });
    expect(census?.columns).toMatchObject([{ plaintext: 0 }, { plaintext: 15 }]);
    expect([...readColumn(database, "phone")]).toEqual(phones);
    expect(await codeOf(keystead.datasets.find("crm.person", "both", [emailOf(2), "492"]))).toBe("JOB_INCOMPLETE");
    expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress).toMatchObject({ values: 15, problems: 0 });
    expect((await keystead.datasets.find("crm.person", "both", [emailOf(2), "492"])).rows).toHaveLength(1);
  });

  it("goes on after a pause, also with another codec or other columns: what the first could not do is done by the second", async () => {
    const crm = await createForeign(1200);
    const { keystead, database } = crm;
    const paused = await keystead.datasets.reencrypt("crm.person", { from: "legacy", columns: ["phone"], ...pauseAt(500).options });
    expect(paused).toMatchObject({ state: "paused", progress: { scanned: 500, values: 250 } });
    // A job of another kind is not gone on with.
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ scanned: 1200, replaced: 0, problems: 0 });
    const pages: number[] = [];
    const done = await keystead.datasets.reencrypt("crm.person", { from: "legacy", onProgress: ({ scanned }) => pages.push(scanned) });
    expect(pages.slice(0, 2)).toEqual([500, 1000]);
    expect(done).toMatchObject({ id: paused.id, state: "done", progress: { pass: 1, values: 1800, problems: 0 } });
    expect(queryNumber(database, "SELECT count(*) FROM person WHERE email NOT LIKE 'ks1:%' OR phone NOT LIKE 'ks1:%'")).toBe(0);
    expect((await plaintexts(crm, "phone")).get("500")).toBe("+49 500");
  });

  it("keeps a row that the application changed meanwhile, and takes it in later", async () => {
    const crm = await createForeign(1100);
    let written = false;
    const { progress } = await crm.keystead.datasets.reencrypt("crm.person", {
      from: "legacy",
      onProgress: ({ scanned, pass }) => {
        if (written || pass > 1 || scanned < 1000) return;
        written = true;
        crm.database.prepare("UPDATE person SET email = ? WHERE id = 3").run(sealLegacy("new@example.org", "email"));
      },
    });
    expect(progress).toMatchObject({ pass: 2, problems: 0 });
    expect((await plaintexts(crm, "email")).get("3")).toBe("new@example.org");
  });
});

describe("a wrong codec", () => {
  it.each([
    [
      "wrongKey",
      /^codec wrongKey opens none of the first 501 values of dataset crm\.person \(0 are not written as it reads them, 501 do not open\)/,
    ],
    ["wrongForm", /^codec wrongForm opens none of the first 501 values .*\(501 are not written as it reads them, 0 do not open\)/],
  ])("%s ends the job before anything is written, and the right one then goes on", async (from, message) => {
    const { keystead, database } = await createForeign(700);
    const before = readExactly(database, "person");
    for (const dryRun of [true, false]) {
      const failure = await keystead.datasets.reencrypt("crm.person", { from, dryRun }).catch((error: unknown) => error);
      expect(failure).toHaveProperty("code", "DECRYPTION_FAILED");
      expect(failure).toHaveProperty("message", expect.stringMatching(message));
    }
    expect(readExactly(database, "person")).toEqual(before);
    expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress).toMatchObject({ replaced: 700, problems: 0 });
  });

  it("is not what values are taken for that are lost, when the caller says so", async () => {
    const { keystead, database } = await createForeign(700);
    database.prepare("UPDATE person SET email = ?, phone = NULL WHERE id <= 600").run(sealLegacy("lost", "email", "a", otherKey));
    expect(await codeOf(keystead.datasets.reencrypt("crm.person", { from: "legacy" }))).toBe("DECRYPTION_FAILED");
    const { state, progress } = await keystead.datasets.reencrypt("crm.person", { from: "legacy", leaveUnopened: true });
    expect({ state, progress }).toMatchObject({ state: "done", progress: { replaced: 100, problems: 600 } });
  });

  it("is not what a long run of lost values is taken for, once one has opened", async () => {
    const { keystead, database } = await createForeign(1700);
    const lost = sealLegacy("lost", "email", "a", otherKey);
    database.prepare("UPDATE person SET email = ?, phone = NULL WHERE id BETWEEN 2 AND 1699").run(lost);
    const { state, progress } = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    expect({ state, progress }).toMatchObject({ state: "done", progress: { replaced: 2, problems: 1698 } });
  });

  it("of a small table is a report of its rows", async () => {
    const { keystead } = await createForeign(3);
    const { progress } = await keystead.datasets.reencrypt("crm.person", { from: "wrongKey" });
    expect(progress).toMatchObject({ replaced: 0, problems: 4 });
  });
});

describe("what a codec can't work on", () => {
  it("is refused with its name", async () => {
    const { keystead } = await createForeign(3);
    const messageOf = async (work: Promise<unknown>): Promise<string> => {
      const error: unknown = await work.then(
        () => "no error",
        (reason: unknown) => reason,
      );
      return error instanceof Error && "code" in error ? `${String(error.code)}: ${error.message}` : String(error);
    };
    const run = (options: object): Promise<string> => messageOf(keystead.datasets.reencrypt("crm.person", options));
    expect(await run({ from: "legcy" })).toBe(
      'UNKNOWN_CODEC: the local configuration names no codec "legcy"; it names: legacy, wrongKey, wrongForm',
    );
    expect(await run({ from: "legacy", columns: ["emial"] })).toMatch(
      /^INVALID_ARGUMENT: .*"emial", which is not protected; did you mean email\?/,
    );
    expect(await run({ from: "legacy", columns: [] })).toMatch(/^INVALID_ARGUMENT: columns names no column/);
    expect(await run({ columns: ["email"] })).toMatch(/^INVALID_ARGUMENT: columns and leaveUnopened belong to a codec/);
    expect(await run({ from: "legacy", column: "email" })).toMatch(/^INVALID_ARGUMENT: options has an unknown property/);
    expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress.problems).toBe(0);
  });

  it("such as a column that is not there, or a NULL that additional data needs, is a clear error or a reported row", async () => {
    const clashing = { ...legacy, aad: "{row.email}" };
    const crm = await createCrm(schema, { codecs: { ...codecs, elsewhere: { ...legacy, aad: "{row.tenent}" }, clashing } });
    const { keystead, database } = crm;
    await keystead.datasets.add("crm.person", personDataset({ email: "pii" }));
    database.prepare("INSERT INTO person (id, email) VALUES (1, ?)").run(sealLegacy("a", "email"));
    for (const from of ["elsewhere", "clashing"])
      expect(await codeOf(keystead.datasets.reencrypt("crm.person", { from }))).toBe("DATASET_UNSUITABLE");
    const result = await keystead.datasets.reencrypt("crm.person", { from: "legacy" });
    expect(problemsOf(result)).toEqual(["1 email INVALID_ARGUMENT"]);
    expect(result.progress.firstProblems[0]?.message).toContain("column tenant is null");
  });
});

describe("a codec that is described wrongly", () => {
  it("is refused before a store is made or opened", async () => {
    const folder = temporaryFolder();
    const options = { ...fileStore(folder), codecs: { legacy: Object.assign({}, legacy, { nonce: 12 }) } };
    expect(await codeOf(initKeystead(options))).toBe("INVALID_ARGUMENT");
    expect(readdirSync(folder)).toEqual([]);
    const wrong: readonly object[] = [[], { legacy: "plain-aead" }];
    for (const codecs of wrong) expect(await codeOf(initKeystead(Object.assign({}, options, { codecs })))).toBe("INVALID_ARGUMENT");
  });
});

describe("columns of other kinds", () => {
  it("keep bytes and text as they were, in kind value, too", async () => {
    const raw: CodecConfig = {
      type: "plain-aead",
      algorithm: "aes-256-gcm",
      keys: [{ bytes: legacyKey }],
      encoding: "raw",
      plaintext: "bytes",
    };
    const crm = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, scan BLOB, note TEXT, photo BLOB)", {
      codecs: { raw, text: { ...raw, encoding: "base64", plaintext: "text" } },
    });
    const { keystead, database } = crm;
    const columns = { scan: { key: "pii" }, note: { key: "pii", kind: "value" as const }, photo: { key: "pii", kind: "value" as const } };
    await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
    const bytes = Buffer.from([0, 255, 1]);
    const sealedAs = (plaintext: Uint8Array | string): Buffer => {
      const { nonce, ciphertext, tag } = sealForeign("aes-256-gcm", legacyKey, nonceOf((nonces += 1)), plaintext);
      return Buffer.concat([nonce, ciphertext, tag]);
    };
    database.prepare("INSERT INTO person VALUES (1, ?, ?, ?)").run(sealedAs(bytes), sealedAs("note").toString("base64"), sealedAs(bytes));
    await keystead.datasets.reencrypt("crm.person", { from: "raw", columns: ["scan", "photo"] });
    await keystead.datasets.reencrypt("crm.person", { from: "text", columns: ["note"] });
    const context = (column: string) => ({ context: { dataset: "crm.person", "row.id": "1", column } });
    const [row = {}] = database.prepare("SELECT * FROM person").all();
    expect(await keystead.decryptText(String(row["note"]), context("note"))).toBe("note");
    expect((await keystead.datasets.unprotect("crm.person")).progress).toMatchObject({ problems: 0 });
    expect(readExactly(database, "person")).toEqual([
      [
        ["integer", 1n],
        ["blob", new Uint8Array(bytes)],
        ["text", new Uint8Array(Buffer.from("note"))],
        ["blob", new Uint8Array(bytes)],
      ],
    ]);
  });
});
