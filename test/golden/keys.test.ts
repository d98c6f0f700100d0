import { createSecretKey } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { algorithms, findAlgorithm } from "../../src/crypto/algorithms.ts";
import { createIndexer, deriveIndexKey } from "../../src/crypto/blind-index.ts";
import { derivePassphraseKey, formatPassphraseParameters, parsePassphraseParameters } from "../../src/crypto/passphrase.ts";
import { canonicalText } from "../../src/fields/canonical-text.ts";
import { LocalKek } from "../../src/kek/local/local-kek.ts";
import { readMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { KeysetKey } from "../../src/keys/sealed-material.ts";
import { expectRejection } from "../crypto/support/expect-error.ts";
import { scriptedRandom } from "../crypto/support/random.ts";
import { newDirectory } from "../audit/support/directory.ts";
import { goldenClock as clock, hex, keysFile, storeStatements, tags, texts, tokens, unhex } from "./support/golden-files.ts";

/** Bytes as hexadecimal, as golden files have them. */
function textOf(value: SQLOutputValue | undefined): string {
  return value instanceof Uint8Array ? (hex(value) ?? "") : String(value);
}

describe("golden keys", () => {
  it.each(["keks", "wraps", "keys", "versions"] as const)("have the %s of the golden store", (table) => {
    const database = new DatabaseSync(":memory:");
    database.exec(storeStatements);
    const stored = database.prepare(`select * from "${table}" where row_mac is not null`).all();
    for (const row of keysFile[table]) {
      const found = stored.some((candidate) => Object.entries(row).every(([column, value]) => textOf(candidate[column]) === textOf(value)));
      expect(found).toBe(true);
    }
    database.close();
  });

  const storeId = String(keysFile.manifest[0]?.["store_id"]);
  const [, name = "", encoded = ""] = /^keystead-master-v1:(.*):(.*)\n$/.exec(keysFile.masterKeyFile) ?? [];
  const masterKey = Buffer.from(encoded, "base64url");
  const bytesOf = (value: string | number | null | undefined): Buffer => unhex(String(value ?? ""));

  it("begin with the file of the master key", async () => {
    const path = join(await newDirectory(), "master.key");
    writeFileSync(path, keysFile.masterKeyFile);
    chmodSync(path, 0o600);
    expect(await readMasterKeyFile(path, "main")).toEqual(masterKey);
    expect(name).toBe("main");
  });

  it.each(keysFile.passphrases)(
    "$parameters makes a master key of a passphrase",
    async ({ passphrase, parameters, masterKey: expected }) => {
      const parsed = parsePassphraseParameters(parameters);
      if (parsed === undefined) throw new Error("these parameters do not parse");
      expect(formatPassphraseParameters(parsed)).toBe(parameters);
      expect(hex(await derivePassphraseKey(Buffer.from(passphrase), parsed))).toBe(expected);
    },
  );

  it.each(keysFile.wraps)("the wrap of $subject opens and is made alike", async ({ subject, kek_uri, kek_id, wrapped }) => {
    const random = scriptedRandom(bytesOf(wrapped).subarray(0, 24));
    const kek = new LocalKek({ name, masterKey: createSecretKey(masterKey), random, clock });
    expect(kek.kekId).toBe(`${name}:${keysFile.checkValue}`);
    expect(kek_id).toBe(kek.kekId);
    const context = { storeId, subject: String(subject), kekUri: String(kek_uri) };
    const key = await kek.unwrapKey({ kekId: kek.kekId, bytes: bytesOf(wrapped) }, { context });
    expect(hex(key)).toBe(keysFile.keysetKeys.find(({ keyId }) => keyId === subject)?.key ?? keysFile.storeKey);
    expect(hex((await kek.wrapKey(key, { context })).bytes)).toBe(wrapped);
    await expectRejection(
      "KEK_FAILED",
      kek.unwrapKey({ kekId: kek.kekId, bytes: bytesOf(wrapped) }, { context: { ...context, subject: "x" } }),
    );
  });

  it.each(keysFile.versions)("version $version of $key_id opens and is sealed alike", (row) => {
    const { key_id: keyId, version, fingerprint, material_format: format, material, public_key: publicKey } = row;
    const { usages, algorithm } = keysFile.keys.find(({ id }) => id === keyId) ?? {};
    const keysetKey = unhex(keysFile.keysetKeys.find((key) => key.keyId === keyId)?.key ?? "");
    const binding = {
      keyId: String(keyId),
      version: Number(version),
      usages: String(usages),
      algorithm: String(algorithm),
      format: String(format),
    };
    const keyset = new KeysetKey(keysetKey, scriptedRandom(bytesOf(material).subarray(0, 24)), clock);
    const opened = keyset.open(bytesOf(material), binding);
    const expected = keysFile.versionKeys.find((key) => key.keyId === keyId && key.label === `${String(version)}-${String(fingerprint)}`);
    expect(hex(opened.exportBytes())).toBe(expected?.key);
    expect(opened.fingerprint(binding.keyId, binding.version)).toBe(fingerprint);
    expect(hex(opened.publicKeyDer()) ?? null).toBe(publicKey);
    expect(findAlgorithm(binding.algorithm).materialFormat).toBe(format);
    expect(hex(keyset.seal(opened.exportBytes(), binding))).toBe(material);
  });
});

describe("golden tokens and tags", () => {
  it.each(tokens)("token $token is made alike", ({ key, spec, values, indexKey, token }) => {
    const versionKey = createSecretKey(unhex(key));
    expect(hex(deriveIndexKey(versionKey, spec).export())).toBe(indexKey);
    expect(createIndexer(versionKey, spec)(values)).toBe(token);
  });

  it.each(tags)("tag of '$data' is made alike", ({ key, label, data, tag }) => {
    const mac = algorithms["HMAC-SHA-256"].mac(createSecretKey(unhex(key)), unhex(data));
    expect(`${label}.${mac.toString("base64url")}`).toBe(tag);
  });

  it.each(texts)("context text of $type $input", ({ type, input, text }) => {
    expect(canonicalText(type === "bytes" ? unhex(String(input)) : input, "input", type)).toBe(text);
  });
});
