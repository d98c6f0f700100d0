import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { deriveMasterKey } from "../../../src/datasets/codecs/openspp/master-key.ts";
import type { CodecConfig } from "../../../src/index.ts";
import { placeOf, testCodec } from "../../../src/testing/codec.ts";
import { canaries } from "../../setup/canary.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";
import { failureOf } from "../postgres/database.ts";
import { nonceOf, openCodec, privateFile, sealOpenspp } from "./foreign.ts";
import { openspp } from "./vectors.ts";

type Openspp = Extract<CodecConfig, { readonly type: "openspp" }>;

const masterKey = { bytes: openspp.masterKey };
const { field } = openspp.sealed;

/** Codec options with these rows of `spp_encryption_key` in a CSV file. */
function withRows(rows: readonly (readonly [keyId: string, version: number, wrapped: string])[], more: Partial<Openspp> = {}): Openspp {
  const lines = ["id,key_id,version,is_current,encrypted_key,purpose"];
  for (const [index, [keyId, version, wrapped]] of rows.entries())
    lines.push(`${String(index)},${keyId},${String(version)},t,${wrapped},"a, b"`);
  const file = privateFile(temporaryFolder(), "keys.csv", `${lines.join("\n")}\n`);
  return { type: "openspp", model: "res.partner", masterKey, keyRows: { file }, ...more };
}

/** A data key as the database provider wraps it. */
function wrap(key: Uint8Array, keyId: string, master: Uint8Array = openspp.masterKey): string {
  return sealOpenspp(master, nonceOf(9), key, `spp.encryption.key:${keyId}`);
}

const fromSpecification = (): Openspp => withRows([[openspp.wrapped.keyId, 1, openspp.wrapped.base64]], { key: openspp.wrapped.keyId });
const text = (value: string) => ({ type: "text" as const, bytes: Buffer.from(value) });

testCodec({
  describe,
  it,
  name: "openspp, with the vectors of its specification",
  createCodec: () => openCodec(fromSpecification()),
  vectors: [
    { cell: text(field.base64), place: placeOf("res_partner", field.column), plaintext: text(field.text) },
    {
      cell: text(sealOpenspp(openspp.dataKey, nonceOf(2), canaries.name.text, "res.partner.name")),
      place: placeOf("res_partner", "name"),
      plaintext: text(canaries.name.text),
    },
    {
      cell: text(sealOpenspp(openspp.dataKey, nonceOf(3), "", "res.partner.name")),
      place: placeOf("res_partner", "name"),
      plaintext: text(""),
    },
  ],
  otherPlaces: [placeOf("res_partner", "name"), placeOf("res_partner", "", {}, field.column)],
  secrets: [openspp.dataKey, openspp.masterKey],
});

describe("vectors of OpenSPP's specification", () => {
  it("agree with the test's own sealing, and with the derived master key", () => {
    const { dataKey, masterKey: master, sealed, wrapped, derivedMasterKey } = openspp;
    expect(sealOpenspp(dataKey, nonceOf(1), sealed.withoutAad.text, "")).toBe(sealed.withoutAad.base64);
    expect(sealOpenspp(dataKey, nonceOf(1), sealed.withAad.text, sealed.withAad.aad)).toBe(sealed.withAad.base64);
    expect(master.toString("base64")).toBe(openspp.masterKeyBase64);
    expect(wrapped.base64).toHaveLength(80);
    expect(deriveMasterKey(derivedMasterKey.uuid).toString("hex")).toBe(derivedMasterKey.hex);
  });

  it.each(["withoutAad", "empty", "withAad"] as const)("open by plain AEAD, too: %s", async (name) => {
    const { text: expected, base64, aad = "" } = { aad: undefined, ...openspp.sealed[name] };
    const codec = await openCodec({
      type: "plain-aead",
      algorithm: "aes-256-gcm",
      keys: [{ bytes: openspp.dataKey }],
      aad,
    });
    expect(Buffer.from(codec.open(text(base64), placeOf("t", "c")).bytes).toString()).toBe(expected);
    codec.close();
  });
});

describe("keys of OpenSPP", () => {
  const place = placeOf("res_partner", "phone");
  const [first, second] = [Buffer.alloc(32, 0x81), Buffer.alloc(32, 0xf2)];
  const rows = [
    ["pii_pii", 1, wrap(first, "pii_pii")],
    ["pii_pii", 2, wrap(second, "pii_pii")],
    ["salt_pii_phone", 1, "dmF1bHQ6djE6"],
  ] as const;

  it("are all versions of one key; rotation loses nothing", async () => {
    const codec = await openCodec(withRows(rows));
    for (const key of [first, second])
      expect(Buffer.from(codec.open(text(sealOpenspp(key, nonceOf(1), "+49", "res.partner.phone")), place).bytes).toString()).toBe("+49");
    codec.close();
  });

  it("come from the table itself, too", async () => {
    const path = join(temporaryFolder(), "odoo.db");
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE spp_encryption_key (id INTEGER PRIMARY KEY, key_id TEXT, version INTEGER, encrypted_key TEXT)");
    const insert = database.prepare("INSERT INTO spp_encryption_key (key_id, version, encrypted_key) VALUES (?, ?, ?)");
    for (let version = 1; version <= 2500; version += 1) insert.run(`filler_${String(version)}`, version, "x");
    for (const row of rows) insert.run(...row);
    database.close();
    const config: Openspp = { type: "openspp", model: "res.partner", masterKey, keyRows: { database: "odoo" } };
    const codec = await openCodec(config, { odoo: `sqlite:${path}` });
    expect(codec.recognise(text(sealOpenspp(first, nonceOf(1), "+49", "res.partner.phone")))).toBe(true);
    expect(Buffer.from(codec.open(text(sealOpenspp(first, nonceOf(1), "+49", "res.partner.phone")), place).bytes).toString()).toBe("+49");
    codec.close();
    expect(await failureOf(openCodec(config))).toMatch(/^UNKNOWN_DATABASE/);
  });

  it("unwrap with a master key file, or with the one derived from the database's UUID", async () => {
    const folder = temporaryFolder();
    const { uuid, hex } = openspp.derivedMasterKey;
    const value = text(sealOpenspp(first, nonceOf(1), "+49", "res.partner.phone"));
    const codec = await openCodec(withRows(rows, { masterKey: { file: privateFile(folder, "master", `${openspp.masterKeyBase64}\n`) } }));
    expect(Buffer.from(codec.open(value, place).bytes).toString()).toBe("+49");
    codec.close();
    const derived: Openspp = {
      type: "openspp",
      model: "res.partner",
      keyRows: withRows([["pii_pii", 1, wrap(first, "pii_pii", Buffer.from(hex, "hex"))]]).keyRows,
      databaseUuid: { file: privateFile(folder, "uuid", `${uuid}\n`) },
    };
    const other = await openCodec(derived);
    expect(Buffer.from(other.open(value, place).bytes).toString()).toBe("+49");
    other.close();
    expect(
      await failureOf(
        openCodec({ ...derived, databaseUuid: { file: privateFile(folder, "other", "00000000-0000-4000-8000-00000000000A") } }),
      ),
    ).toMatch(/does not hold a UUID/);
  });

  it("bind fields to other names when told so", async () => {
    const codec = await openCodec(withRows(rows, { fields: { phone_sealed: "phone" } }));
    const value = text(sealOpenspp(second, nonceOf(1), "+49", "res.partner.phone"));
    expect(Buffer.from(codec.open(value, placeOf("res_partner", "phone_sealed")).bytes).toString()).toBe("+49");
    codec.close();
  });

  it("that can't be had are errors that name them, and show none", async () => {
    const folder = temporaryFolder();
    const csv = (content: string): Openspp => ({ ...withRows([]), keyRows: { file: privateFile(folder, "k.csv", content) } });
    const wrong = { bytes: new Uint8Array(32).fill(9) };
    expect(await failureOf(openCodec(withRows(rows, { masterKey: wrong })))).toMatch(
      /^WRONG_MASTER_KEY: codec foreign: version 2 of key pii_pii does not unwrap with this master key; give/,
    );
    // The wrap names its key: a row under another's name is refused.
    expect(await failureOf(openCodec(withRows([["pii_pii", 1, wrap(first, "pii_other")]])))).toMatch(
      /^WRONG_MASTER_KEY: .*version 1 of key pii_pii/,
    );
    expect(await failureOf(openCodec(withRows(rows, { key: "pii_phone" })))).toBe(
      "INVALID_ARGUMENT: codec foreign: spp_encryption_key has no row of key pii_phone; it has: pii_pii, salt_pii_phone",
    );
    expect(await failureOf(openCodec(withRows(rows, { key: "salt_pii_phone" })))).toMatch(
      /is not wrapped as the database provider of OpenSPP does/,
    );
    expect(await failureOf(openCodec(csv("")))).toMatch(/first line of .* must name the columns key_id, version, encrypted_key$/);
    expect(await failureOf(openCodec(csv('key_id,version,encrypted_key\n"pii')))).toMatch(/is not CSV/);
    expect(await failureOf(openCodec(csv("key_id,version,encrypted_key\npii_pii,one,AAAA\n")))).toMatch(
      /row 1 of spp_encryption_key lacks/,
    );
    const { masterKey: _, ...none } = withRows(rows);
    expect(await failureOf(Promise.resolve().then(() => openCodec(none)))).toBe(
      "INVALID_ARGUMENT: codec foreign: its options: must have one of masterKey and databaseUuid",
    );
  });
});
