import { chmodSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { decodeTypedValue } from "../../src/crypto/typed-value.ts";
import { type Keystead, openKeystead } from "../../src/keystead.ts";
import { collect, pieces } from "../crypto/support/streams.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";
import { ciphertexts, keysFile, readStream, shake, storeStatements, streams, tags, tokens, unhex } from "./support/golden-files.ts";

const masterKey = Buffer.from(keysFile.masterKeyFile.trim().split(":")[2] ?? "", "base64url");

/** A clock that stands a day after the golden store was written. */
const newClock = (): TestClock => new TestClock(Date.UTC(2027, 0, 2));

/** The golden store in a file, after some more statements. */
function writeStore(more = ""): { readonly store: string; readonly masterKeys: { readonly main: { readonly bytes: Uint8Array } } } {
  const path = join(temporaryFolder(), "keystead.db");
  const database = new DatabaseSync(path);
  database.exec(storeStatements + more);
  database.close();
  chmodSync(path, 0o600);
  return { store: `sqlite:${path}`, masterKeys: { main: { bytes: masterKey } } };
}

function openGoldenStore(): Promise<Keystead> {
  return openTestKeystead({ ...writeStore(), migrate: true, clock: newClock() });
}

describe("the golden store", () => {
  it("opens everything that was sealed with its keys", async () => {
    const keystead = await openGoldenStore();
    for (const { kind, form, ciphertext, context, plaintext } of ciphertexts) {
      const sealed = form === "text" ? ciphertext : unhex(ciphertext);
      if (kind === "value") expect(await keystead.decrypt(sealed, { context })).toEqual(unhex(plaintext));
      else if (kind === "typed") expect(await keystead.decryptValue(sealed, { context })).toStrictEqual(decodeTypedValue(unhex(plaintext)));
      else expect(await codeOf(keystead.decrypt(sealed, { context }))).toBe("DECRYPTION_FAILED");
    }
  });

  it("opens its streams", async () => {
    const keystead = await openGoldenStore();
    for (const { file, context, plaintextSeed, plaintextLength } of streams) {
      const opened = await collect(keystead.decryptStream(pieces(readStream(file)), { context }));
      expect(opened.equals(shake(plaintextSeed, plaintextLength))).toBe(true);
    }
  });

  it("makes the same tokens and tags", async () => {
    const keystead = await openGoldenStore();
    const index = await keystead.open("pii-index");
    for (const { spec, values, token } of tokens) expect(index.indexer(spec)(values)).toBe(token);
    const webhooks = await keystead.open("webhooks");
    for (const { data, tag } of tags) {
      expect(webhooks.mac(unhex(data))).toBe(tag);
      expect(webhooks.verifyMac(unhex(data), tag)).toBe(true);
    }
  });

  it("has an audit that verifies", async () => {
    const keystead = await openGoldenStore();
    const { findings, records } = await keystead.audit.verify();
    expect(findings).toEqual([]);
    expect(records).toBeGreaterThan(5);
  });

  it("is refused once a row was edited", async () => {
    const edited = writeStore("update keys set purpose = 'api' where name = 'pii-email';");
    expect(await codeOf(openKeystead({ ...edited, migrate: true, clock: newClock() }))).toBe("STORE_TAMPERED");
    const deleted = writeStore("delete from aliases;");
    expect(await codeOf(openKeystead({ ...deleted, migrate: true, clock: newClock() }))).toBe("STORE_TAMPERED");
  });
});
