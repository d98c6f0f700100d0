import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { CodecConfig } from "../../../src/index.ts";
import type { ForeignPlace } from "../../../src/datasets/codec.ts";
import { type CodecVector, placeOf, testCodec } from "../../../src/testing/codec.ts";
import { canaries } from "../../setup/canary.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";
import { failureOf } from "../postgres/database.ts";
import { nonceOf, openCodec, privateFile, sealForeign } from "./foreign.ts";

type PlainAead = Extract<CodecConfig, { readonly type: "plain-aead" }>;
type Parts = ReturnType<typeof sealForeign>;

const keyOf = (bytes: number, label = "foreign"): Buffer => createHash("sha256").update(label).digest().subarray(0, bytes);
const plaintexts = [canaries.email.text, "", canaries.name.text.repeat(5)];

interface Kind {
  readonly name: string;
  readonly algorithm: PlainAead["algorithm"];
  readonly keyBytes: number;
  readonly options?: Partial<Omit<PlainAead, "type" | "algorithm" | "keys">>;
  /** The additional data at each place. */
  readonly aad?: string;
  readonly place?: ForeignPlace;
  readonly otherPlaces?: readonly ForeignPlace[];
  /** How the foreign system writes the parts. */
  readonly write: (parts: Parts) => string | Buffer;
  readonly nonceBytes?: number;
  readonly binary?: boolean;
}

const joined = ({ nonce, ciphertext, tag }: Parts): Buffer => Buffer.concat([nonce, ciphertext, tag]);

const kinds: readonly Kind[] = [
  {
    name: "AES-256-GCM, base64, nothing else said",
    algorithm: "aes-256-gcm",
    keyBytes: 32,
    write: (parts) => joined(parts).toString("base64"),
  },
  {
    name: "AES-128-GCM, tag and ciphertext before the nonce, hex, bound to table and column",
    algorithm: "aes-128-gcm",
    keyBytes: 16,
    options: { layout: ["tag", "ciphertext", "nonce"], encoding: "hex", aad: "{table}.{column}" },
    aad: "person.email",
    otherPlaces: [placeOf("person", "phone"), placeOf("persons", "email")],
    write: ({ nonce, ciphertext, tag }) => Buffer.concat([tag, ciphertext, nonce]).toString("hex"),
  },
  {
    name: "AES-192-GCM, a nonce of 16 bytes, prefix, bound to logical column and row",
    algorithm: "aes-192-gcm",
    keyBytes: 24,
    options: {
      nonceBytes: 16,
      layout: ["nonce", "tag", "ciphertext"],
      encoding: "base64url",
      prefix: "enc:v1:",
      aad: "{{{name}}}/{row.id}",
    },
    nonceBytes: 16,
    aad: "{mail}/7",
    place: placeOf("person", "email", { id: "7" }, "mail"),
    otherPlaces: [placeOf("person", "email", { id: "8" }, "mail"), placeOf("person", "email", { id: "7" })],
    write: ({ nonce, ciphertext, tag }) => `enc:v1:${Buffer.concat([nonce, tag, ciphertext]).toString("base64url")}`,
  },
  {
    name: "ChaCha20-Poly1305, parts between colons",
    algorithm: "chacha20-poly1305",
    keyBytes: 32,
    options: { layout: ["nonce", "tag", "ciphertext"], encoding: "hex", separator: ":" },
    write: ({ nonce, ciphertext, tag }) => [nonce, tag, ciphertext].map((part) => part.toString("hex")).join(":"),
  },
  {
    name: "raw bytes",
    algorithm: "aes-256-gcm",
    keyBytes: 32,
    options: { encoding: "raw", plaintext: "bytes", aad: "constant" },
    aad: "constant",
    binary: true,
    write: joined,
  },
];

for (const kind of kinds) {
  const { name, algorithm, keyBytes, options = {}, aad = "", place = placeOf("person", "email"), otherPlaces = [], write } = kind;
  const key = keyOf(keyBytes);
  const type = kind.binary === true ? "blob" : "text";
  const vectorOf = (text: string, number: number): CodecVector => ({
    cell: { type, bytes: Buffer.from(write(sealForeign(algorithm, key, nonceOf(number, kind.nonceBytes), text, aad))) },
    place,
    plaintext: { type, bytes: Buffer.from(text) },
  });
  const [first = "", ...rest] = plaintexts;
  const createCodec = () => openCodec({ type: "plain-aead", algorithm, keys: [{ bytes: key }], ...options });
  testCodec({ describe, it, name, createCodec, vectors: [vectorOf(first, 1), ...rest.map(vectorOf)], otherPlaces, secrets: [key] });
}

describe("keys of plain AEAD", () => {
  const base = { type: "plain-aead", algorithm: "aes-256-gcm" } as const;
  const [old, current] = [keyOf(32, "old"), keyOf(32, "current")];
  const cellOf = (key: Uint8Array) => ({
    type: "text" as const,
    bytes: Buffer.from(joined(sealForeign("aes-256-gcm", key, nonceOf(1), "text")).toString("base64")),
  });

  it("are tried in their order, from files in any encoding", async () => {
    const folder = temporaryFolder();
    const files = [
      { file: privateFile(folder, "current", current) },
      { file: privateFile(folder, "old", `${Buffer.from(old).toString("base64")}\r\n`), encoding: "base64" as const },
      { file: privateFile(folder, "older", `${Buffer.from(keyOf(32, "older")).toString("hex")}\n`), encoding: "hex" as const },
    ];
    const codec = await openCodec({ ...base, keys: files });
    for (const key of [current, old, keyOf(32, "older")])
      expect(Buffer.from(codec.open(cellOf(key), placeOf("t", "c")).bytes).toString()).toBe("text");
    expect(() => codec.open(cellOf(keyOf(32, "another")), placeOf("t", "c"))).toThrow(
      expect.objectContaining({ code: "DECRYPTION_FAILED" }),
    );
    codec.close();
  });

  it("stay out of messages about files that are missing, open to others, of another form or length", async () => {
    const folder = temporaryFolder();
    const secret = Buffer.from(current).toString("base64");
    const file = privateFile(folder, "key", secret);
    const messages = [
      await failureOf(openCodec({ ...base, keys: [{ file: `${file}.gone` }] })),
      await failureOf(openCodec({ ...base, keys: [{ file }] })),
      await failureOf(openCodec({ ...base, keys: [{ file, encoding: "hex" }] })),
      await failureOf(openCodec({ ...base, algorithm: "aes-128-gcm", keys: [{ file, encoding: "base64" }] })),
      await failureOf(openCodec({ ...base, keys: [{ file: privateFile(folder, "long", Buffer.alloc(2000)) }] })),
    ];
    expect(messages).toEqual([
      `INVALID_ARGUMENT: the file ${file}.gone does not exist; correct its path in codec foreign of the configuration`,
      "INVALID_ARGUMENT: codec foreign, key 1: it must have 32 bytes, not 44; give the right one, or say its encoding",
      `INVALID_ARGUMENT: codec foreign, key 1: ${file} is not hex; correct it, or its encoding in the configuration`,
      "INVALID_ARGUMENT: codec foreign, key 1: it must have 16 bytes, not 32; give the right one, or say its encoding",
      `INVALID_ARGUMENT: codec foreign, key 1: ${folder}/long has more than 1024 bytes; correct its path in the configuration`,
    ]);
    const { chmodSync } = await import("node:fs");
    chmodSync(file, 0o640);
    expect(await failureOf(openCodec({ ...base, keys: [{ file, encoding: "base64" }] }))).toMatch(/^INSECURE_FILE: .*run: chmod 600/);
  });
});

describe("options of plain AEAD", () => {
  const base = { type: "plain-aead", algorithm: "aes-256-gcm", keys: [{ bytes: keyOf(32) }] } as const;

  const refused: readonly (readonly [options: object, message: string])[] = [
    [{ nonceBytes: 7 }, "nonceBytes: must be 8 to 32 for aes-256-gcm"],
    [{ algorithm: "chacha20-poly1305", nonceBytes: 24 }, "nonceBytes: must be 12 for chacha20-poly1305"],
    [{ layout: ["nonce", "ciphertext"] }, "layout: must name nonce, ciphertext and tag, each once"],
    [{ layout: ["nonce", "tag", "tag"] }, "layout: must name nonce, ciphertext and tag, each once"],
    [{ encoding: "raw", separator: ":" }, "separator: can't stand between raw bytes, which may hold it; remove it"],
    [{ separator: "ab" }, "separator: must be 1 to 8 characters that no encoding has, like : or ."],
    [{ aad: "{id}" }, "aad: names what it can't: use {table}, {column}, {name} or {row.COLUMN}"],
    [{ aad: "{row.}" }, "aad: names what it can't: use {table}, {column}, {name} or {row.COLUMN}"],
    [{ aad: "{constructor}" }, "aad: names what it can't: use {table}, {column}, {name} or {row.COLUMN}"],
    [{ aad: "a}" }, "aad: has a lone brace: write it twice"],
    [{ aad: "\ud800" }, "aad: is not well-formed text"],
    [{ keys: [] }, "keys: must have at least 1 entries"],
    [{ keys: Array.from({ length: 17 }, () => ({ bytes: keyOf(32) })) }, "keys: must have at most 16 entries"],
    [{ keys: [{ file: "a", bytes: keyOf(32) }] }, 'keys.0: must be { "file": PATH } or, in a program, { bytes }'],
    [{ algorithm: "aes-256-cbc" }, "algorithm: must be one of aes-256-gcm, aes-192-gcm, aes-128-gcm, chacha20-poly1305"],
    [{ nonce: 12 }, 'its options: has no field "nonce"; correct or remove it'],
    [{ type: "plain-aes" }, "type must be one of plain-aead, openspp: did you mean plain-aead?"],
    [{ type: undefined }, "type must be one of plain-aead, openspp"],
  ];

  it.each(refused)("%j are refused", async (options, message) => {
    // A configuration file may say anything.
    const config = Object.assign({}, base, options);
    expect(await failureOf(Promise.resolve().then(() => openCodec(config)))).toBe(`INVALID_ARGUMENT: codec foreign: ${message}`);
  });
});
