import { createPrivateKey, createPublicKey } from "node:crypto";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { checkpointHash, encodeCheckpoint, parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { type ChainPosition, extendChain, startChain } from "../../src/audit/hash-chain.ts";
import { encodeRecord, parseRecord } from "../../src/audit/record.ts";
import { readPublicKey, verifySignature } from "../../src/audit/signature.ts";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import { deriveMetadataKey } from "../../src/store/metadata-key.ts";
import { manifestTable } from "../../src/store/sql/manifest.ts";
import { computeRowMac } from "../../src/store/sql/row-mac.ts";
import { guardedLayouts } from "../../src/store/sql/sql-tables.ts";
import type { ColumnValue, TableLayout } from "../../src/store/sql/table-layout.ts";
import { TableSums } from "../../src/store/sql/table-sums.ts";
import { flipBit } from "../crypto/support/flip-bit.ts";
import { auditFile, hex, keysFile, metadataFile, storeStatements, unhex } from "./support/golden-files.ts";

describe("golden audit", () => {
  it.each(auditFile.writers)("lines of $writer are written alike and chain", ({ writer, lines, chain }) => {
    let position = startChain(writer);
    const heads = [hex(position.head)];
    for (const line of lines) {
      const record = parseRecord(Buffer.from(line));
      if (record === undefined) throw new Error("a golden line is no record");
      const { sequence, previous, time, id, store, process, host, ...event } = record;
      const place = { sequence, previous, time: Date.parse(time), id };
      const principal = { ...event.principal, source: event.principal.source as "engine" };
      expect(encodeRecord({ store, writer, process, host }, place, { ...event, principal }).toString()).toBe(line);
      position = extendChain(position, Buffer.from(line));
      heads.push(hex(position.head));
    }
    expect(heads).toEqual(chain);
  });

  it.each(auditFile.checkpoints)("checkpoint of generation $generation verifies and is signed alike", (row) => {
    const body = unhex(row.body);
    const key = readPublicKey(unhex(auditFile.publicKey));
    if (key === undefined) throw new Error("the golden public key is none");
    expect(verifySignature(key, body, unhex(row.signature))).toBe(true);
    expect(verifySignature(key, flipBit(body, 0), unhex(row.signature))).toBe(false);
    expect(checkpointHash(body)).toBe(row.hash);
    const parsed = parseCheckpoint(body);
    expect(parsed).toMatchObject({ previous: row.previous, generation: row.generation });
    const heads = (parsed?.positions ?? []).map(({ writer, count, head }: ChainPosition) => [writer, count, hex(head)]);
    const known = auditFile.writers.flatMap(({ writer, chain }) => chain.map((head, count) => [writer, count, head]));
    expect(known).toEqual(expect.arrayContaining(heads));
    expect(heads.length).toBeGreaterThan(0);
    expect(parsed === undefined ? undefined : hex(encodeCheckpoint(parsed))).toBe(row.body);
    const signer = keysFile.versionKeys.find(({ name: keyName, label }) => `${keyName}:${label}` === row.signer);
    const privateKey = createPrivateKey({ key: unhex(signer?.key ?? ""), format: "der", type: "pkcs8" });
    expect(hex(algorithms.Ed25519.sign(privateKey, body))).toBe(row.signature);
  });

  it("has a destruction certificate that verifies", () => {
    const certificate = JSON.parse(auditFile.certificate) as Readonly<Record<"statement" | "signer" | "publicKey" | "signature", string>>;
    const key = createPublicKey({ key: Buffer.from(certificate.publicKey, "base64url"), format: "der", type: "spki" });
    const signed = encodeFields("keystead certificate v1", certificate.statement);
    expect(algorithms.Ed25519.verify(key, signed, Buffer.from(certificate.signature, "base64url"))).toBe(true);
    expect(JSON.parse(certificate.statement)).toMatchObject({ type: "keystead.destruction", format: 1, store: auditFile.storeId });
  });
});

function textOf(value: SQLOutputValue | undefined): string {
  if (value instanceof Uint8Array) return hex(value) ?? "";
  return value === null ? "NULL" : String(value);
}

describe("golden metadata", () => {
  /** Tables that came after the golden store was written. */
  const later = ["policies", "principals", "tokens", "approvals", "leases"];
  const layouts = new Map<string, TableLayout>(
    [manifestTable, ...guardedLayouts()].filter(({ name }) => !later.includes(name)).map((layout) => [layout.name, layout]),
  );
  const metadataKey = deriveMetadataKey(unhex(metadataFile.storeKey));
  const valueOf = { t: (text: string) => text, i: Number, b: unhex, n: () => null } as const;

  it("has rows of every table with a MAC", () => {
    expect(new Set(metadataFile.rows.map(({ table }) => table))).toEqual(new Set(layouts.keys()));
    expect(hex(metadataKey.export())).toBe(metadataFile.metadataKey);
  });

  it.each(metadataFile.rows)("MAC $mac of a row of $table", ({ table, format, columns, rowVersion, mac }) => {
    const layout = layouts.get(table);
    if (layout === undefined) throw new Error(`there is no table ${table}`);
    const covered = layout.formats.get(format) ?? [];
    expect(columns.map(([name]) => name)).toEqual(covered.map(({ sqlName }) => sqlName));
    const values: Record<string, ColumnValue> = {};
    for (const [index, { property }] of covered.entries()) {
      const [, letter = "n", text = ""] = columns[index] ?? [];
      values[property] = valueOf[letter](text);
    }
    expect(hex(computeRowMac(metadataKey, layout, { format, values, rowVersion }))).toBe(mac);
  });

  it("has the rows of the golden store", () => {
    const database = new DatabaseSync(":memory:");
    database.exec(storeStatements);
    const stored = [...layouts.keys()].flatMap((table) =>
      database
        .prepare(`select * from "${table}"`)
        .all()
        .map((row) => `${table} ${Object.values(row).map(textOf).join(" | ")}`),
    );
    const listed = metadataFile.rows.map(({ table, columns, rowVersion, format, mac }) =>
      [`${table} ${columns.map(([, letter, value]) => (letter === "n" ? "NULL" : value)).join(" | ")}`, rowVersion, format, mac].join(
        " | ",
      ),
    );
    expect(stored.sort()).toEqual(listed.sort());
    database.close();
  });

  it("sums them up in the manifest", () => {
    const sums = new TableSums();
    for (const { table, mac } of metadataFile.rows) if (table !== "manifest") sums.add(table, unhex(mac));
    const manifest = new Map(metadataFile.rows.find(({ table }) => table === "manifest")?.columns.map(([name, , value]) => [name, value]));
    expect(sums.format()).toBe(manifest.get("tables"));
    expect(hex(sums.total())).toBe(manifest.get("sum"));
  });
});
