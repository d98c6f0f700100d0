import { algorithms, type AeadAlgorithm } from "../../src/crypto/algorithms.ts";
import { binaryPrefix, formatBinary, formatText, textPrefix } from "../../src/crypto/ciphertext.ts";
import { type CiphertextKind, type Context, createAadEncoder } from "../../src/crypto/context.ts";
import { encodeTypedValue, type FieldValue } from "../../src/crypto/typed-value.ts";
import { formatJson, hex } from "./format.ts";
import { type GoldenKeyset, type GoldenVersion, versionOf } from "./keyset.ts";
import { goldenClock, replay, shake } from "./source.ts";

type Form = "text" | "binary";

/** Contexts by name. UTF-16 would sort the key after U+FF21; UTF-8 sorts it before. */
export const contexts: Readonly<Record<"none" | "one" | "several", Context>> = {
  none: {},
  one: { column: "email" },
  several: { "🗝": "Schlüssel", "\uff21": "fullwidth A", ab: "", a: "Zoë", 10: "ten", 9: "nine", größe: "e\u0301 is not é", column: "name" },
};

/** A typed value, and what a reader prints for it. */
interface TypedSample {
  readonly type: string;
  readonly printed: string | Uint8Array;
  readonly value: FieldValue;
}

const samples: readonly TypedSample[] = [
  { type: "string", printed: "Zoë 東京 🗝", value: "Zoë 東京 🗝" },
  { type: "number", printed: "0.1", value: 0.1 },
  { type: "bigint", printed: "-123456789012345678901234567890", value: -123456789012345678901234567890n },
  { type: "boolean", printed: "true", value: true },
  { type: "date", printed: "1798806896789", value: new Date("2027-01-01T12:34:56.789Z") },
  { type: "bytes", printed: Uint8Array.of(0, 255, 128), value: Uint8Array.of(0, 255, 128) },
  { type: "json", printed: '{"b":[1,-2.5,null,"ü"],"a":{"":false}}', value: { b: [1, -2.5, null, "ü"], a: { "": false } } },
];

const edges: readonly TypedSample[] = [
  { type: "string", printed: "", value: "" },
  { type: "number", printed: "-0.0", value: -0 },
  { type: "number", printed: "NaN", value: NaN },
  { type: "number", printed: "-Infinity", value: -Infinity },
  { type: "number", printed: "5e-324", value: 5e-324 },
  { type: "bigint", printed: "0", value: 0n },
  { type: "boolean", printed: "false", value: false },
  { type: "date", printed: "-1", value: new Date(-1) },
  { type: "bytes", printed: "", value: new Uint8Array(0) },
  { type: "json", printed: "[]", value: [] },
];

/** `ciphertext.json`: every algorithm, kind and form that values have. */
export function ciphertextFile(keyset: GoldenKeyset): string {
  const seal = sealer();
  const entries: unknown[] = [];
  const encryptionKeys = [...new Set(keyset.opened.filter(({ algorithm }) => isAead(algorithms[algorithm])).map(({ name }) => name))];
  for (const name of encryptionKeys) {
    const version = versionOf(keyset, name);
    for (const form of ["text", "binary"] as const) {
      entries.push(sealPlain(seal, version, "value", form, "none", Buffer.alloc(0)));
      entries.push(sealPlain(seal, version, "value", form, "one", Buffer.from("anna@example.org")));
      entries.push(sealPlain(seal, version, "value", form, "several", Buffer.from("00fffe807f0a", "hex")));
      for (const sample of samples) entries.push(sealTyped(seal, version, form, sample));
    }
  }
  const first = versionOf(keyset, "pii-email", 1);
  for (const sample of edges) entries.push(sealTyped(seal, first, "text", sample));
  for (const kind of ["data-key", "secret"] as const) {
    entries.push(sealPlain(seal, first, kind, "text", "one", shake(`keystead golden v1 ${kind}`, 32)));
  }
  const about =
    "Keystead format 1, ciphertext. Byte strings are hexadecimal, binary ciphertext too. `printed`: the plaintext; of typed values, text for people.";
  return formatJson({ about, ciphertexts: entries });
}

type Seal = (version: GoldenVersion, kind: CiphertextKind, form: Form, context: keyof typeof contexts, plaintext: Buffer) => object;

function sealer(): Seal {
  let count = 0;
  return ({ keyId, name, algorithm: algorithmName, version, label, material }, kind, form, contextName, plaintext) => {
    count += 1;
    const algorithm = algorithms[algorithmName];
    if (!isAead(algorithm)) throw new Error(`${name} is not for encryption`);
    const nonce = shake(`keystead golden v1 nonce ${count}`, algorithm.messageLimit === undefined ? 24 : 12);
    const context = contexts[contextName];
    const aad = createAadEncoder(kind, keyId, label)(context);
    const payload = algorithm.createAead(material.key, { random: replay(nonce), clock: goldenClock }).seal(plaintext, aad);
    const ciphertext =
      form === "text" ? formatText(textPrefix(name, label), payload) : hex(formatBinary(binaryPrefix(name, label), payload));
    const key = { algorithm: algorithmName, keyName: name, keyId, version, label, key: hex(material.exportBytes()) };
    return { ...key, kind, form, context, aad: hex(aad), nonce: hex(nonce), plaintext: hex(plaintext), ciphertext };
  };
}

function sealPlain(seal: Seal, ...sealed: Parameters<Seal>): object {
  return { ...seal(...sealed), printed: hex(sealed[4]) };
}

function sealTyped(seal: Seal, version: GoldenVersion, form: Form, { type, printed, value }: TypedSample): object {
  return { ...seal(version, "typed", form, "one", encodeTypedValue(value)), type, printed: hex(Buffer.from(printed)) };
}

function isAead(algorithm: (typeof algorithms)[keyof typeof algorithms]): algorithm is AeadAlgorithm {
  return algorithm.kind === "aead";
}
