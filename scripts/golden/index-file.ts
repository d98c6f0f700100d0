import { algorithms } from "../../src/crypto/algorithms.ts";
import { createIndexer, deriveIndexKey, type IndexSpec } from "../../src/crypto/blind-index.ts";
import { formatJson, hex } from "./format.ts";
import { type GoldenKeyset, versionOf } from "./keyset.ts";

const datasetId = "60164e57-0ead-4000-8000-000000000301";

/** The index that the others are variations of. */
const email: IndexSpec = {
  datasetId,
  columns: ["email"],
  kind: "exact",
  normaliser: "email",
  normaliserVersion: "1/validator@13.15.35",
  unicodeVersion: "17.0",
  bits: 12,
  generation: 1,
  keyVersion: 1,
};

const name: IndexSpec = {
  ...email,
  columns: ["given name", "Nachname-größe"],
  kind: "compound",
  normaliser: "text,text",
  normaliserVersion: "1,1",
  bits: 64,
  generation: 12,
};

const cases: readonly { readonly spec: IndexSpec; readonly values: readonly string[] }[] = [
  { spec: email, values: ["anna@example.org"] },
  { spec: email, values: [""] },
  { spec: { ...email, bits: 8 }, values: ["anna@example.org"] },
  { spec: { ...email, bits: 15, generation: 2 }, values: ["anna@example.org"] },
  { spec: { ...email, bits: 256 }, values: ["anna@example.org"] },
  { spec: { ...email, kind: "last(4)", normaliser: "none", normaliserVersion: "1", bits: 20 }, values: [".org"] },
  { spec: name, values: ["zoë", "東京 🗝"] },
  { spec: name, values: ["zoë東京 🗝", ""] },
];

/** `blind-index.json` and `mac.json`: what keys of HMAC-SHA-256 make. */
export function indexFiles(keyset: GoldenKeyset): Map<string, string> {
  const { keyId, label, material } = versionOf(keyset, "pii-index");
  const tokens = cases.map(({ spec, values }) => ({
    keyId,
    label,
    key: hex(material.exportBytes()),
    spec,
    indexKey: hex(deriveIndexKey(material.key, spec).export()),
    values,
    token: createIndexer(material.key, spec)(values),
  }));
  const about = "Keystead format 1, blind-index tokens of normalised values. Byte strings are hexadecimal.";
  return new Map([
    ["blind-index.json", formatJson({ about, tokens })],
    ["mac.json", macFile(keyset)],
  ]);
}

function macFile(keyset: GoldenKeyset): string {
  const { keyId, name: keyName, label, material } = versionOf(keyset, "webhooks");
  const tags = [Buffer.alloc(0), Buffer.from("Zoë"), Buffer.from("00ff", "hex")].map((data) => ({
    keyId,
    keyName,
    label,
    key: hex(material.exportBytes()),
    data: hex(data),
    tag: `${label}.${algorithms["HMAC-SHA-256"].mac(material.key, data).toString("base64url")}`,
  }));
  return formatJson({ about: "Keystead format 1, tags of `mac` keys. Byte strings are hexadecimal.", tags });
}
