import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { type RandomSource, systemRandom } from "../../src/crypto/random.ts";
import { initKeystead } from "../../src/keystead.ts";
import { KeysetKey } from "../../src/keys/sealed-material.ts";
import { canaries, recordOutput } from "../setup/canary.ts";
import { findLeaks } from "../setup/leaks.ts";
import { openWithParts } from "../support/test-parts.ts";
import { createTestKeystead, fileStore, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

/** A random source that remembers what may be a key. */
class WatchedRandom implements RandomSource {
  readonly keys: Buffer[] = [];

  bytes(length: number): Buffer {
    const bytes = systemRandom.bytes(length);
    if (length >= 32 && length <= 64) this.keys.push(Buffer.from(bytes));
    return bytes;
  }
}

/** Everything that a log, a debugger or a careless template makes of a value. */
function printed(value: unknown): string {
  const texts = [inspect(value, { depth: Infinity, showHidden: true, getters: true }), String(value)];
  try {
    texts.push(JSON.stringify([value]));
  } catch {
    // Circular structures have no JSON.
  }
  if (value instanceof Error) texts.push(value.stack ?? "", printed(value.cause ?? ""));
  return texts.join("\n");
}

function leaksIn(values: Readonly<Record<string, unknown>>, secrets: readonly Buffer[]) {
  const sources = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, printed(value)]));
  return findLeaks(
    sources,
    secrets.map((bytes, index) => ({ name: `secret ${String(index)}`, bytes })),
  );
}

const failureOf = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

describe("keys and plaintexts", () => {
  it("are in nothing that can be printed", async () => {
    const random = new WatchedRandom();
    const { keystead } = await createTestKeystead({ random });
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.create({ name: "m", purpose: "api", usage: "mac" });
    const key = await keystead.open("k");
    const mac = await keystead.open("m");
    const sealed = key.encrypt(canaries.email.text, { table: "person" });
    mac.mac(canaries.phone.text);
    await keystead.keys.rotate("k");
    const keysetKey = KeysetKey.generate(random, systemClock);
    const secrets = [...random.keys, canaries.email.bytes, canaries.phone.bytes, canaries.masterKey.bytes];
    expect(random.keys.length).toBeGreaterThan(5);
    const values = {
      keystead,
      key,
      mac,
      keysetKey,
      keys: keystead.keys,
      keks: keystead.keks,
      audit: keystead.audit,
      list: await keystead.keys.list(),
      records: await keystead.audit.show(),
      sealed,
    };
    for (const value of Object.values(values)) recordOutput(printed(value));
    expect(leaksIn(values, secrets)).toEqual([]);
    expect(leaksIn({ control: canaries.email.text }, secrets)).toHaveLength(1);
  });

  it("are in no error, nor in its causes", async () => {
    const random = new WatchedRandom();
    const options = { ...fileStore(temporaryFolder()), masterKeys: { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } } };
    const first = await initKeystead({ ...options, random });
    await first.keys.create({ name: "k", purpose: "pii" });
    const sealed = await first.encrypt("k", canaries.email.text);
    await first.close();
    let broken = false;
    const second = await openWithParts(options, {
      kekHook: () => (broken ? Promise.reject(new Error("the KEK is down")) : Promise.resolve()),
    });
    broken = true;
    const kek = {
      decrypt: await failureOf(second.decrypt(sealed)),
      create: await failureOf(second.keys.create({ name: "l", purpose: "pii" })),
      rotate: await failureOf(second.keys.rotate("k")),
    };
    broken = false;
    const errors = {
      ...kek,
      context: await failureOf(second.decrypt(sealed, { context: { a: canaries.name.text } })),
      swapped: await failureOf(second.encrypt(canaries.email.text, "k")),
      opened: await failureOf(second.open(canaries.email.text)),
      purpose: await failureOf(second.encrypt({ purpose: canaries.email.text }, "x")),
      malformed: await failureOf(second.decrypt(canaries.email.text)),
      text: await failureOf(second.decryptText(await second.encrypt("k", Buffer.from([0xff, ...canaries.email.bytes])))),
      wrongKek: await failureOf(openWithParts({ ...options, masterKeys: { main: { bytes: canaries.importedKey.bytes } } }, {})),
    };
    expect(Object.values(errors).every((error) => error instanceof Error)).toBe(true);
    const secrets = [...random.keys, canaries.email.bytes, canaries.name.bytes, canaries.masterKey.bytes, canaries.importedKey.bytes];
    expect(leaksIn({ ...errors, records: await second.audit.show() }, secrets)).toEqual([]);
  });

  it("of a keyset are handed out for wrapping only, and overwritten then", async () => {
    const keysetKey = KeysetKey.generate(systemRandom, systemClock);
    let lent: Uint8Array = new Uint8Array();
    const copy = await keysetKey.withBytes((bytes) => {
      lent = bytes;
      return Promise.resolve(Buffer.from(bytes));
    });
    expect(copy.equals(Buffer.alloc(32))).toBe(false);
    expect(Buffer.from(lent).equals(Buffer.alloc(32))).toBe(true);
    await expect(
      keysetKey.withBytes((bytes) => {
        lent = bytes;
        return Promise.reject(new Error("no"));
      }),
    ).rejects.toThrow("no");
    expect(Buffer.from(lent).equals(Buffer.alloc(32))).toBe(true);
  });
});
