import { expect, it, onTestFinished } from "vitest";
import { canaries } from "../../setup/canary.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead, temporaryFolder } from "../../support/test-keystead.ts";
import { nonceOf, privateFile, sealForeign, sealOpenspp } from "../codecs/foreign.ts";
import { openspp } from "../codecs/vectors.ts";
import { pauseAt } from "../support/persons.ts";

const rows = 1300;

it("takes in the fields of an OpenSPP database: keys from its table, all versions, paused and damaged in the middle", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    `create table res_partner(id serial primary key, name varchar, national_id varchar, phone varchar, national_id_index varchar(64), token text);
     create table spp_encryption_key(id serial primary key, key_id varchar not null, version int not null, is_current bool, encrypted_key varchar,
       algorithm varchar, purpose varchar, expires_date timestamp, unique (key_id, version))`,
  );
  const keys = [Buffer.alloc(32, 0x91), Buffer.alloc(32, 0xa2)];
  for (const [index, key] of keys.entries()) {
    const wrapped = sealOpenspp(openspp.masterKey, nonceOf(index + 1), key, "spp.encryption.key:pii_pii");
    const values = ["pii_pii", index + 1, index === 1, wrapped];
    await database.query("insert into spp_encryption_key(key_id, version, is_current, encrypted_key) values ($1, $2, $3, $4)", values);
  }
  const idOf = (id: number): string => (id === 1 ? canaries.diagnosis.text : `${String(id)}-456-789`);
  const sealed = Array.from({ length: rows }, (_, index) =>
    sealOpenspp(keys[index < 700 ? 0 : 1] ?? Buffer.alloc(32), nonceOf(index), idOf(index + 1), "res.partner.national_id"),
  );
  sealed[899] = sealed[899]?.replace(/.{4}$/, "AAAA") ?? "";
  await database.query(
    "insert into res_partner(name, national_id) select 'Name ' || ordinality, value from unnest($1::text[]) with ordinality as v(value, ordinality)",
    [sealed],
  );

  const masterKey = { file: privateFile(temporaryFolder(), "master", openspp.masterKeyBase64) };
  const { keystead } = await createTestKeystead({
    databases: { odoo: database.url },
    codecs: { openspp: { type: "openspp", model: "res.partner", masterKey, keyRows: { database: "odoo" } } },
  });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  await keystead.datasets.add("partners", {
    database: "odoo",
    table: "res_partner",
    keyColumns: ["id"],
    columns: { nationalId: { key: "pii", column: "national_id" }, phone: { key: "pii" } },
    indexes: { nationalId: { columns: ["nationalId"], column: "token", key: "bi", kind: "exact", normalisers: ["digits"], bits: 24 } },
  });

  const dry = await keystead.datasets.reencrypt("partners", { from: "openspp", dryRun: true });
  expect(dry.progress).toMatchObject({ scanned: rows, replaced: rows - 1, problems: 1 });
  expect(await keystead.datasets.reencrypt("partners", { from: "openspp", ...pauseAt(500).options })).toMatchObject({
    state: "paused",
    progress: { replaced: 500 },
  });
  const { state, progress, census } = await keystead.datasets.reencrypt("partners", { from: "openspp" });
  expect({ state, progress }).toMatchObject({ state: "done", progress: { values: rows - 1, problems: 1 } });
  expect(progress.firstProblems).toMatchObject([{ row: { id: "900" }, column: "nationalId", code: "DECRYPTION_FAILED" }]);
  expect(census?.columns).toMatchObject([{ plaintext: 1, versions: [{ standing: "current", count: rows - 1 }] }, { nulls: rows }]);

  await database.query("update res_partner set national_id = $1 where id = 900", [
    sealOpenspp(keys[1] ?? Buffer.alloc(32), nonceOf(1), idOf(900), "res.partner.national_id"),
  ]);
  expect((await keystead.datasets.reencrypt("partners", { from: "openspp" })).progress).toMatchObject({ replaced: 1, problems: 0 });
  const values = await database.query("select id, national_id from res_partner order by id");
  for (const { id, national_id: value } of values) {
    const context = { dataset: "partners", "row.id": String(id), column: "nationalId" };
    expect(await keystead.decryptValue(String(value), { context })).toBe(idOf(Number(id)));
  }
  const found = await keystead.datasets.find("partners", "nationalId", ["777456789"]);
  expect(found).toMatchObject({ complete: true, rows: [{ row: { id: "777" } }] });
});

it("binds additional data to uuid and number columns as PostgreSQL writes them", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  const tenant = "0B4B6E2F-9C7C-4D39-9A1D-0D4D6E0B8F11";
  await database.query("create schema crm; create table crm.person(tenant uuid, id bigint, secret bytea, primary key (tenant, id))");
  const { nonce, ciphertext, tag } = sealForeign(
    "chacha20-poly1305",
    openspp.dataKey,
    nonceOf(5),
    canaries.name.text,
    `crm.person.secret/${tenant.toLowerCase()}/9007199254740993`,
  );
  await database.query("insert into crm.person values ($1, 9007199254740993, $2)", [tenant, Buffer.concat([tag, nonce, ciphertext])]);
  const { keystead } = await createTestKeystead({
    databases: { crm: database.url },
    codecs: {
      legacy: {
        type: "plain-aead",
        algorithm: "chacha20-poly1305",
        keys: [{ file: privateFile(temporaryFolder(), "key", openspp.dataKey) }],
        layout: ["tag", "nonce", "ciphertext"],
        encoding: "raw",
        aad: "{table}.{column}/{row.tenant}/{row.id}",
      },
    },
  });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", {
    database: "crm",
    table: "crm.person",
    keyColumns: ["tenant", "id"],
    columns: { secret: { key: "pii" } },
  });
  expect((await keystead.datasets.reencrypt("crm.person", { from: "legacy" })).progress).toMatchObject({ values: 1, problems: 0 });
  const [row] = await database.query("select secret from crm.person");
  const context = { dataset: "crm.person", "row.tenant": tenant.toLowerCase(), "row.id": "9007199254740993", column: "secret" };
  const sealed = row?.["secret"];
  expect(sealed instanceof Uint8Array && (await keystead.decryptValue(sealed, { context }))).toBe(canaries.name.text);
});
