import { createHash } from "node:crypto";
import { chmodSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CodecConfig, JobResult, ReencryptOptions } from "../../../src/index.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead, temporaryFolder } from "../../support/test-keystead.ts";
import { nonceOf, privateFile, sealOpenspp } from "../codecs/foreign.ts";
import { openspp } from "../codecs/vectors.ts";
import { problemsOf } from "../support/crm.ts";
import { failureOf } from "./database.ts";

const rows = 1200;
const key = createHash("sha256").update("legacy").digest();
const otherKey = createHash("sha256").update("other").digest();
const legacy = { type: "plain-aead", algorithm: "aes-256-gcm", keys: [{ bytes: key }], aad: "{table}.{column}/{row.id}" } as const;
const master = { bytes: openspp.masterKey };
const codecs: Readonly<Record<string, CodecConfig>> = {
  legacy,
  wrongKey: { ...legacy, keys: [{ bytes: otherKey }] },
  wrongAlgorithm: { ...legacy, algorithm: "chacha20-poly1305" },
  wrongAad: { ...legacy, aad: "{table}.{column}" },
  wrongLayout: { ...legacy, layout: ["tag", "nonce", "ciphertext"] },
  wrongForm: { ...legacy, prefix: "enc:" },
  wrongEncoding: { ...legacy, encoding: "hex" },
  wrongModel: { type: "openspp", model: "res.partner", masterKey: master, keyRows: { database: "crm" } },
  wrongMaster: { type: "openspp", model: "res.partner", masterKey: { bytes: otherKey }, keyRows: { database: "crm" } },
  noSuchKey: { type: "openspp", model: "res.partner", key: "pii_other", masterKey: master, keyRows: { database: "crm" } },
  noSuchTable: { type: "openspp", model: "res.partner", masterKey: master, keyRows: { database: "crm", table: "spp_keys" } },
  noSuchColumn: { ...legacy, aad: "{row.tenant}" },
  otherKeyRow: { ...legacy, aad: "{table}.{column}/{row.number}" },
};

function seal(id: number, sealingKey = key, aad = `person.email/${String(id)}`): string {
  return sealOpenspp(sealingKey, nonceOf(id), `p${String(id)}@example.org`, aad);
}

/** A table of what another system encrypted, of a store that knows right and wrong codecs. `run` says also how the table was after it. */
async function createForeign() {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    "create table person(id int primary key, email text, number int, email_index text); " +
      "create table spp_encryption_key(id serial primary key, key_id varchar, version int, encrypted_key varchar)",
  );
  const sealed = Array.from({ length: rows }, (_, index) => seal(index + 1));
  await database.query("insert into person select i, v, i + 1 from unnest($1::text[]) with ordinality as n(v, i)", [sealed]);
  const wrapped = sealOpenspp(openspp.masterKey, nonceOf(1), key, "spp.encryption.key:pii_pii");
  await database.query("insert into spp_encryption_key(key_id, version, encrypted_key) values ('pii_pii', 1, $1)", [wrapped]);
  const { keystead } = await createTestKeystead({ databases: { crm: database.url }, codecs });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  await keystead.datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { email: { key: "pii" } },
    indexes: { email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"], bits: 24 } },
  });
  /** Each version of each row: what a job wrote has another one, also when it is the same. */
  const read = () => database.query("select id, email, email_index, xmin::text, ctid::text from person order by id");
  const reencrypt = (options: ReencryptOptions): Promise<JobResult> => keystead.datasets.reencrypt("crm.person", options);
  return { database, keystead, read, reencrypt };
}

describe("bad input of reencrypt from a codec, on PostgreSQL", () => {
  it.each([
    [
      "wrongKey",
      /^DECRYPTION_FAILED: codec wrongKey opens none of the first \d+ values .*\(0 are not written as it reads them, \d+ do not/,
    ],
    ["wrongAlgorithm", /^DECRYPTION_FAILED: codec wrongAlgorithm opens none of .*\(0 are not written/],
    ["wrongAad", /^DECRYPTION_FAILED: codec wrongAad opens none of .*\(0 are not written .*additional data/],
    ["wrongLayout", /^DECRYPTION_FAILED: codec wrongLayout opens none of .*correct its layout/],
    ["wrongForm", /^DECRYPTION_FAILED: codec wrongForm opens none of .*\(\d+ are not written as it reads them, 0 do not open\)/],
    ["wrongEncoding", /^DECRYPTION_FAILED: codec wrongEncoding opens none of .*\(\d+ are not written as it reads them, 0 do not open\)/],
    ["wrongModel", /^DECRYPTION_FAILED: codec wrongModel opens none of/],
    ["otherKeyRow", /^DECRYPTION_FAILED: codec otherKeyRow opens none of/],
    ["wrongMaster", /^WRONG_MASTER_KEY: codec wrongMaster: version 1 of key pii_pii does not unwrap/],
    ["noSuchKey", /^INVALID_ARGUMENT: codec noSuchKey: spp_encryption_key has no row of key pii_other; it has: pii_pii/],
    ["noSuchTable", /^DATASET_UNSUITABLE: .*spp_keys/],
    ["noSuchColumn", /^DATASET_UNSUITABLE: .*tenant/],
    ["lgacy", /^UNKNOWN_CODEC: .*legacy/],
  ])("%s: a clear error, the table untouched, and the right codec goes on", async (from, message) => {
    const { read, reencrypt } = await createForeign();
    const before = await read();
    for (const dryRun of [true, false]) expect(await failureOf(reencrypt({ from, dryRun }))).toMatch(message);
    expect(await read()).toEqual(before);
    expect(await reencrypt({ from: "legacy" })).toMatchObject({ state: "done", progress: { replaced: rows, problems: 0 } });
  });

  it("a limit of problems stops the job: what does not open is reported and untouched, and a repaired table goes on", async () => {
    const { database, keystead, read, reencrypt } = await createForeign();
    const lost = new Map(Array.from({ length: 40 }, (_, index) => [10 + index * 20, seal(10 + index * 20, otherKey)]));
    await database.query("update person set email = n.v from unnest($1::int[], $2::text[]) as n(i, v) where id = i", [
      [...lost.keys()],
      [...lost.values()],
    ]);
    const before = new Map((await read()).map((row) => [row["id"], row]));
    const failed = await reencrypt({ from: "legacy", problemLimit: 5 });
    expect(failed).toMatchObject({ state: "failed", progress: { problems: 25 } });
    expect(problemsOf(failed).slice(0, 2)).toEqual(["10 email DECRYPTION_FAILED", "30 email DECRYPTION_FAILED"]);
    for (const row of await read()) {
      const wasWorkedOn = Number(row["id"]) <= 500 && !lost.has(Number(row["id"]));
      expect(wasWorkedOn ? String(row["email"]).startsWith("ks1:pii:") : row).toEqual(wasWorkedOn ? true : before.get(row["id"]));
    }
    expect(await failureOf(keystead.datasets.find("crm.person", "email", ["p1@example.org"]))).toMatch(/^JOB_INCOMPLETE/);
    for (const id of lost.keys()) await database.query("update person set email = $2 where id = $1", [id, seal(id)]);
    expect(await reencrypt({ from: "legacy", problemLimit: 5 })).toMatchObject({ state: "done", progress: { replaced: rows } });
    expect(await keystead.datasets.find("crm.person", "email", ["P30@example.org"])).toMatchObject({ rows: [{ row: { id: "30" } }] });
  });

  it("values of another row, plaintext, nothing and half a value are reported each by its code, and left alone", async () => {
    const { database, read, reencrypt } = await createForeign();
    const bad = new Map<number, readonly [value: string, code: string]>([
      [3, [seal(4), "DECRYPTION_FAILED"]],
      [5, ["p5@example.org", "MALFORMED_CIPHERTEXT"]],
      [6, ["", "MALFORMED_CIPHERTEXT"]],
      [7, [seal(7).slice(0, 24), "MALFORMED_CIPHERTEXT"]],
      [8, [` ${seal(8)}`, "MALFORMED_CIPHERTEXT"]],
      [9, [seal(9).replace(/.{4}$/, "AAAA"), "DECRYPTION_FAILED"]],
    ]);
    for (const [id, [value]] of bad) await database.query("update person set email = $2 where id = $1", [id, value]);
    const before = (await read()).filter(({ id }) => bad.has(Number(id)));
    const result = await reencrypt({ from: "legacy" });
    expect(result).toMatchObject({ state: "done", progress: { replaced: rows - bad.size, problems: bad.size } });
    expect(problemsOf(result)).toEqual([...bad].map(([id, [, code]]) => `${String(id)} email ${code}`));
    expect((await read()).filter(({ id }) => bad.has(Number(id)))).toEqual(before);
    expect(JSON.stringify(result)).not.toContain("p5@example.org");
  });
});

it("a key file that is missing, that others may read, or of another length, ends the job before it begins", async () => {
  const { database } = await createForeign();
  const folder = temporaryFolder();
  const shared = privateFile(folder, "shared", key);
  chmodSync(shared, 0o644);
  const files = { short: privateFile(folder, "short", key.subarray(1)), missing: `${folder}/missing`, shared };
  const configs = Object.entries(files).map(([name, file]): [string, CodecConfig] => [name, { ...legacy, keys: [{ file }] }]);
  const { keystead } = await createTestKeystead({ databases: { crm: database.url }, codecs: Object.fromEntries(configs) });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: "pii" } } });
  const fail = (from: string): Promise<string> => failureOf(keystead.datasets.reencrypt("crm.person", { from }));
  expect(await fail("short")).toMatch(/^INVALID_ARGUMENT: codec short, key 1: it must have 32 bytes, not 31/);
  expect(await fail("missing")).toMatch(/^INVALID_ARGUMENT: the file .*missing does not exist; correct its path in codec missing/);
  expect(await fail("shared")).toMatch(/^INSECURE_FILE: .*shared/);
  expect(await database.query("select from person where email like 'ks1:%'")).toEqual([]);
});
