import { createHmac, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { CompiledQuery } from "kysely";
import { describe, expect, it } from "vitest";
import { deriveMetadataKey } from "../../src/store/metadata-key.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";

const storeKey = Buffer.from("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "hex");

/** E(…) of the format, written down a second time. */
function encode(...fields: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const bytes = Buffer.from(field);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

function hmac(key: KeyObject, ...fields: (string | Uint8Array)[]): string {
  return createHmac("sha256", key)
    .update(encode(...fields))
    .digest("hex");
}

async function rawRows(database: SqliteDatabase, query: string): Promise<Record<string, unknown>[]> {
  return (await database.sql.executeQuery<Record<string, unknown>>(CompiledQuery.raw(query))).rows;
}

function hex(value: unknown): string {
  return Buffer.from(value as Uint8Array).toString("hex");
}

describe("metadata key", () => {
  it("is HKDF-SHA-256 of the store key", () => {
    const expected = Buffer.from(hkdfSync("sha256", storeKey, "", "keystead metadata v1", 32));
    expect(deriveMetadataKey(storeKey).export()).toEqual(expected);
    expect(deriveMetadataKey(createSecretKey(storeKey)).export()).toEqual(expected);
    expect(expected.toString("hex")).toBe("8391bfc895da91104401c175516df684881a9d9fb8222e87d4f2542237611676");
  });
});

describe("row MAC and manifest", () => {
  it("are the bytes of the format", async () => {
    const key = deriveMetadataKey(storeKey);
    const database = await SqliteDatabase.openInMemory();
    const store = new SqlStore(database);
    await store.create({ id: "store-1", demo: true, createdAt: 1_700_000_000_000 }, key, async ({ keks, wraps, counters, auditLines }) => {
      await keks.insert({ uri: "local:main", kekId: "local:main#1", derivation: null, createdAt: -5 });
      const wrap = await wraps.insert({
        subject: "store",
        kekUri: "local:main",
        kekId: "é",
        wrapped: Buffer.from("00ff", "hex"),
        createdAt: 7,
      });
      await wraps.update({ ...wrap, wrapped: new Uint8Array(0) });
      await counters.insert({
        keyId: "k",
        version: 1,
        datasetId: "",
        seals: 2,
        opens: 0,
        refusals: 0,
        lastOpenedAt: null,
        lastRefusedAt: 9,
      });
      await auditLines.insert({ writer: "w", sequence: 0, line: new Uint8Array(1) });
    });

    const kekMac = hmac(
      key,
      ...["1", "keks", "uri", "t", "local:main", "kek_id", "t", "local:main#1", "derivation", "n", "", "created_at", "i", "-5"],
      ...["row_version", "i", "1"],
    );
    const wrapMac = hmac(
      key,
      ...[
        "1",
        "wraps",
        "subject",
        "t",
        "store",
        "kek_uri",
        "t",
        "local:main",
        "kek_id",
        "t",
        "é",
        "wrapped",
        "b",
        "",
        "created_at",
        "i",
        "7",
      ],
      ...["row_version", "i", "2"],
    );
    const counterMac = hmac(
      key,
      ...["1", "counters", "key_id", "t", "k", "version", "i", "1", "dataset_id", "t", "", "seals", "i", "2", "opens", "i", "0"],
      ...["refusals", "i", "0", "last_opened_at", "n", "", "last_refused_at", "i", "9", "row_version", "i", "1"],
    );
    const [kek] = await rawRows(database, "select * from keks");
    const [wrap] = await rawRows(database, "select * from wraps");
    const [counter] = await rawRows(database, "select * from counters");
    expect([kek, wrap, counter].map((row) => hex(row?.["row_mac"]))).toEqual([kekMac, wrapMac, counterMac]);
    expect([kek, wrap, counter].map((row) => row?.["row_format"])).toEqual([1n, 1n, 1n]);
    expect(kekMac).toBe("a42afe0480fa59f0db4bb779a970f9dd8100a136145c450c80b5886a06db71b9");

    const sum = ((BigInt(`0x${counterMac}`) + BigInt(`0x${kekMac}`) + BigInt(`0x${wrapMac}`)) % (1n << 256n))
      .toString(16)
      .padStart(64, "0");
    const tables = `counters 1 ${counterMac}\nkeks 1 ${kekMac}\nwraps 1 ${wrapMac}`;
    const [manifest] = await rawRows(database, "select * from manifest");
    expect(manifest).toMatchObject({ store_id: "store-1", demo: 1n, created_at: 1_700_000_000_000n, schema: 3n, generation: 2n, tables });
    expect(hex(manifest?.["sum"])).toBe(sum);
    const manifestMac = hmac(
      key,
      ...["1", "manifest", "store_id", "t", "store-1", "demo", "i", "1", "created_at", "i", "1700000000000", "schema", "i", "3"],
      ...["generation", "i", "2", "revision", "i", "2", "sum", "b"],
      Buffer.from(sum, "hex"),
      ...["tables", "t", tables, "row_version", "i", "2"],
    );
    expect(hex(manifest?.["row_mac"])).toBe(manifestMac);
    await store.close();
  });
});
