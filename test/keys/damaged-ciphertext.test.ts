import { describe, expect, it } from "vitest";
import { formatStreamHeader, streamPrefix } from "../../src/crypto/stream.ts";
import { isKeysteadError, type FieldValue, type KeyHandle } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { createTestKeystead } from "../support/test-keystead.ts";

const algorithms = ["XAES-256-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-GCM-KC"] as const;
const context = { table: "person", column: "name" };
const valueDoesNotOpen = "this ciphertext does not open with this key and context";
const streamDoesNotOpen = "stream does not open: check that it is complete and unchanged, and its key and context";

/** The bytes with each bit flipped, and each shorter beginning of them. */
function* damagedBytes(bytes: Uint8Array): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
  for (let length = 0; length < bytes.length; length += 1) yield Buffer.from(bytes.subarray(0, length));
}

function* damagedText(text: string): Generator<string> {
  for (const bytes of damagedBytes(Buffer.from(text, "latin1"))) yield bytes.toString("latin1");
}

/** The errors, as codes, that everything damaged ends in; what failed to open has this one message. */
async function codesOf<T>(damaged: Iterable<T>, open: (given: T) => unknown, message: string): Promise<string[]> {
  const codes = new Set<string>();
  for (const given of damaged) {
    try {
      await open(given);
    } catch (error) {
      if (!isKeysteadError(error)) throw error;
      if (error.code === "DECRYPTION_FAILED") expect(error.message).toBe(message);
      codes.add(error.code);
      continue;
    }
    expect.unreachable(`opened damaged: ${String(given)}`);
  }
  return [...codes].sort();
}

const expected = ["DECRYPTION_FAILED", "KEY_VERSION_NOT_LOADED", "MALFORMED_CIPHERTEXT", "UNKNOWN_FINGERPRINT", "UNKNOWN_KEY"];

describe.each(algorithms)("a value of %s with one bit flipped, or cut", (algorithm) => {
  async function openKey(): Promise<KeyHandle> {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "pii", purpose: "pii", algorithm });
    return keystead.open("pii");
  }

  it.each(["", "a"])("never opens: text and bytes of %j", async (plaintext) => {
    const key = await openKey();
    const text = key.encrypt(plaintext, context);
    expect(await codesOf(damagedText(text), (sealed) => key.decrypt(sealed, context), valueDoesNotOpen)).toEqual(expected);
    expect(await codesOf(damagedText(text), (sealed) => key.decryptText(sealed, context), valueDoesNotOpen)).toEqual(expected);
    const bytes = key.encryptBytes(plaintext, context);
    expect(await codesOf(damagedBytes(bytes), (sealed) => key.decrypt(sealed, context), valueDoesNotOpen)).toEqual(expected);
  });

  it.each<FieldValue>([true, 7n, "a"])("never opens with its type: %o", async (value) => {
    const key = await openKey();
    const text = key.encryptValue(value, context);
    expect(await codesOf(damagedText(text), (sealed) => key.decryptValue(sealed, context), valueDoesNotOpen)).toEqual(expected);
    const bytes = key.encryptValueBytes(value, context);
    expect(await codesOf(damagedBytes(bytes), (sealed) => key.decryptValue(sealed, context), valueDoesNotOpen)).toEqual(expected);
  });
});

describe("what the asynchronous calls get with one bit flipped, or cut", () => {
  // They refresh for a version that they don't know: none is left unloaded.
  const known = expected.filter((code) => code !== "KEY_VERSION_NOT_LOADED");

  it("never opens as a value", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    const text = await keystead.encrypt("pii", "a", { context });
    expect(await codesOf(damagedText(text), (sealed) => keystead.decrypt(sealed, { context }), valueDoesNotOpen)).toEqual(known);
    expect(await codesOf(damagedText(text), (sealed) => keystead.decryptText(sealed, { context }), valueDoesNotOpen)).toEqual(known);
    const bytes = await keystead.encryptBytes("pii", "a", { context });
    expect(await codesOf(damagedBytes(bytes), (sealed) => keystead.decrypt(sealed, { context }), valueDoesNotOpen)).toEqual(known);
    const typed = await keystead.encryptValue("pii", 7n, { context });
    expect(await codesOf(damagedText(typed), (sealed) => keystead.decryptValue(sealed, { context }), valueDoesNotOpen)).toEqual(known);
  });

  it.each(["", canaries.name.text])("never opens as a stream, and says the same for head and chunk: %#", async (plaintext) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    const stream = await collect(keystead.encryptStream("pii", piece(Buffer.from(plaintext)), { context }));
    const given: Buffer[] = [];
    const open = async (bytes: Buffer): Promise<void> => {
      for await (const part of keystead.decryptStream(piece(bytes), { context })) given.push(part);
    };
    expect(await codesOf(damagedBytes(stream), open, streamDoesNotOpen)).toEqual(known);
    expect(given).toEqual([]);
    await expect(collect(keystead.decryptStream(piece(stream), { context: {} }))).rejects.toThrow(streamDoesNotOpen);
    expect((await collect(keystead.decryptStream(piece(stream), { context }))).toString()).toBe(plaintext);
  });

  it("says the same of a file key of another length", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    const key = await keystead.open("pii");
    const { label, payload } = key.sealFileKey(Buffer.alloc(31), context);
    const stream = Buffer.concat([formatStreamHeader(streamPrefix("pii", label), payload), Buffer.alloc(16)]);
    await expect(collect(keystead.decryptStream(piece(stream), { context }))).rejects.toThrow(streamDoesNotOpen);
  });
});

async function* piece(bytes: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  yield bytes;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}
