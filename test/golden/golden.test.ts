import { createHash, createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type AeadAlgorithm, type AlgorithmName, algorithms } from "../../src/crypto/algorithms.ts";
import { binaryPrefix, formatBinary, formatText, parseBinary, parseText, textPrefix } from "../../src/crypto/ciphertext.ts";
import { createAadEncoder } from "../../src/crypto/context.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { formatStreamHeader, openChunks, readStreamHeader, sealChunks, streamPrefix } from "../../src/crypto/stream.ts";
import { decodeTypedValue, encodeTypedValue } from "../../src/crypto/typed-value.ts";
import { expectRejection } from "../crypto/support/expect-error.ts";
import { flipBit } from "../crypto/support/flip-bit.ts";
import { scriptedRandom } from "../crypto/support/random.ts";
import { collect, pieces } from "../crypto/support/streams.ts";
import {
  ciphertexts,
  digestOfAll,
  goldenClock as clock,
  type GoldenCiphertext,
  hex,
  readStream,
  shake,
  streams,
  unhex,
} from "./support/golden-files.ts";

function aeadOf(name: AlgorithmName): AeadAlgorithm {
  const algorithm = algorithms[name];
  if (algorithm.kind !== "aead") throw new Error(`${name} does not encrypt`);
  return algorithm;
}

/** An AEAD under a golden key whose only randomness is the golden nonce. */
function aeadFor({ algorithm, key, nonce }: { readonly algorithm: AlgorithmName; readonly key: string; readonly nonce: string }) {
  return aeadOf(algorithm).createAead(createSecretKey(unhex(key)), { random: scriptedRandom(unhex(nonce)), clock });
}

it("golden files of format 1 are those that were released", () => {
  expect(digestOfAll()).toBe("9ccd70eb5ed7a94874ea79b7549cd07667b4e2a1a015dd6119e957c00b818eb1");
});

describe("golden ciphertext", () => {
  const parse = ({ form, ciphertext }: GoldenCiphertext) => (form === "text" ? parseText(ciphertext) : parseBinary(unhex(ciphertext)));

  it("covers every algorithm, kind, form and type", () => {
    const found = new Set(ciphertexts.map(({ algorithm, kind, form, type = "" }) => `${algorithm} ${kind} ${form} ${type}`.trim()));
    const types = ["string", "number", "bigint", "boolean", "date", "bytes", "json"];
    for (const algorithm of Object.values(algorithms).filter(({ kind }) => kind === "aead")) {
      for (const form of ["text", "binary"]) {
        expect(found).toContain(`${algorithm.name} value ${form}`);
        for (const type of types) expect(found).toContain(`${algorithm.name} typed ${form} ${type}`);
      }
    }
    expect(found).toContain("XAES-256-GCM data-key text");
    expect(found).toContain("XAES-256-GCM secret text");
  });

  it.each(ciphertexts.map((entry, index) => ({ ...entry, index })))("$index: $algorithm $kind $form opens and is sealed alike", (entry) => {
    const { algorithm, keyName, keyId, version, label, key, kind, form, context } = entry;
    const parsed = parse(entry);
    expect(parsed).toMatchObject({ key: keyName, version, label });
    const aad = createAadEncoder(kind, keyId, label)(context);
    expect(hex(aad)).toBe(entry.aad);
    expect(KeyMaterial.import(algorithms[algorithm], unhex(key)).fingerprint(keyId, version)).toBe(parsed?.fingerprint);

    const aead = aeadFor(entry);
    const payload = parsed?.payload ?? Buffer.alloc(0);
    expect(hex(aead.open(payload, aad))).toBe(entry.plaintext);
    for (const other of ["value", "typed", "file-key", "data-key", "secret"] as const) {
      if (other !== kind) expect(aead.open(payload, createAadEncoder(other, keyId, label)(context))).toBeUndefined();
    }
    expect(aead.open(payload, createAadEncoder(kind, keyId, label)({ ...context, more: "" }))).toBeUndefined();

    const sealed = aead.seal(unhex(entry.plaintext), aad);
    const written =
      form === "text" ? formatText(textPrefix(keyName, label), sealed) : hex(formatBinary(binaryPrefix(keyName, label), sealed));
    expect(written).toBe(entry.ciphertext);
  });

  const readers: Readonly<Record<string, (printed: Buffer) => unknown>> = {
    string: String,
    number: Number,
    bigint: (printed) => BigInt(printed.toString()),
    boolean: (printed) => printed.toString() === "true",
    date: (printed) => new Date(Number(printed)),
    bytes: (printed) => Uint8Array.from(printed),
    json: (printed) => JSON.parse(printed.toString()) as unknown,
  };

  it.each(ciphertexts.filter(({ kind }) => kind === "typed"))(
    "typed $type $plaintext has its value",
    ({ type = "", plaintext, printed }) => {
      const value = decodeTypedValue(unhex(plaintext));
      expect(value).toStrictEqual(readers[type]?.(unhex(printed)));
      expect(value === undefined ? undefined : hex(encodeTypedValue(value))).toBe(plaintext);
    },
  );
});

describe("golden streams", () => {
  it("have the lengths around a chunk", () => {
    expect(streams.map(({ plaintextLength }) => plaintextLength)).toEqual([0, 1, 65_535, 65_536, 65_537, 200_000]);
  });

  it.each(streams)("$file opens and is sealed alike", async (entry) => {
    const { file, keyName, keyId, label, context } = entry;
    const plaintext = shake(entry.plaintextSeed, entry.plaintextLength);
    const sealed = readStream(file);
    const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    expect([sha256(plaintext), sha256(sealed)]).toEqual([entry.plaintextSha256, entry.sealedSha256]);

    const { header, sealedFileKey, rest } = await readStreamHeader(pieces(sealed, 1_000));
    expect(header).toMatchObject({ key: keyName, label });
    const aad = createAadEncoder("file-key", keyId, label)(context);
    const aead = aeadFor(entry);
    const fileKey = aead.open(sealedFileKey, aad) ?? Buffer.alloc(0);
    expect(hex(fileKey)).toBe(entry.fileKey);
    expect(plaintext.equals(await collect(openChunks(fileKey, rest)))).toBe(true);

    const beginning = formatStreamHeader(streamPrefix(keyName, label), aead.seal(fileKey, aad));
    const chunks = await collect(sealChunks(fileKey, pieces(plaintext, 777)));
    expect(sealed.equals(Buffer.concat([beginning, chunks]))).toBe(true);
    await expectRejection("DECRYPTION_FAILED", collect(openChunks(fileKey, pieces(chunks.subarray(0, -1)))));
    await expectRejection("DECRYPTION_FAILED", collect(openChunks(fileKey, pieces(flipBit(chunks, 8 * chunks.length - 1)))));
  });
});
