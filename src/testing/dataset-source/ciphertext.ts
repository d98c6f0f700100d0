import { createHash } from "node:crypto";
import { binaryPrefix, formatBinary, formatText, parseBinary, parseText, textPrefix } from "../../crypto/ciphertext.ts";
import { formatStreamHeader, parseStream, streamPrefix } from "../../crypto/stream.ts";
import type { Cell } from "../../datasets/source.ts";
import type { DatasetSourceSuite } from "./suite.ts";

/** A cell that parses as ciphertext of a key version, in a form; its payload is that of the seed, and opens nowhere. */
export function sealedCell(form: "text" | "binary" | "stream", seed: string, key = "pii-email", label = "1-k7f2qd"): Cell {
  const payload = createHash("sha256").update(`keystead conformance ${seed}`).digest();
  if (form === "text") return { type: "text", bytes: Buffer.from(formatText(textPrefix(key, label), payload)) };
  return {
    type: "blob",
    bytes:
      form === "binary"
        ? formatBinary(binaryPrefix(key, label), payload)
        : Buffer.concat([formatStreamHeader(streamPrefix(key, label), payload), payload]),
  };
}

/** Sealed for the first value column of a suite. */
export function sealedFor({ layout, forms }: DatasetSourceSuite, seed: string): Cell {
  return sealedCell(forms[layout.valueColumns[0] ?? ""] ?? "text", seed);
}

/** What the census is to say of a cell: `null`, `plaintext`, or `ciphertext` with key and label. */
export function headerText(cell: Cell): string {
  if (cell.type === "null") return "null";
  const latin1 = cell.type === "text" ? Buffer.from(cell.bytes).toString("latin1") : "";
  const parsed =
    cell.type === "text" ? parseText(latin1) : cell.type === "blob" ? (parseBinary(cell.bytes) ?? parseStream(cell.bytes)) : undefined;
  return parsed === undefined ? "plaintext" : `ciphertext ${parsed.key} ${parsed.label}`;
}

/** Cells around the edges of the format: ciphertext of several keys and versions, and what only looks like it. */
export function headerSamples(suite: DatasetSourceSuite): Cell[] {
  const form = suite.forms[suite.layout.valueColumns[0] ?? ""] ?? "text";
  const good = [
    sealedCell(form, "a"),
    sealedCell(form, "b"),
    sealedCell(form, "c", "pii-email", "2-abcdef"),
    sealedCell(form, "d", "PII-email", "1-k7f2qd"),
    sealedCell(form, "e", "acme/a.b_c~d/x/y", "2147483647-zzzzzz"),
    sealedCell(form, "f", "k".repeat(255), "10-222222"),
  ];
  const near =
    form === "text"
      ? nearTexts.filter((text) => suite.textHoldsNul !== false || !text.includes("\0")).map(textBytes)
      : [...streams(), ...nearBlobs.map(blobBytes)];
  return [...good, ...near, { type: "null" }, { type: "null" }];
}

/** Streams are bytes: a text column can't hold one. */
function streams(): Cell[] {
  return [
    sealedCell("stream", "g"),
    sealedCell("stream", "h", "pii-email", "2-abcdef"),
    sealedCell("stream", "i", "k".repeat(255), "2147483647-zzzzzz"),
  ];
}

const payload = "A".repeat(38);

const nearTexts: readonly string[] = [
  `ks1:pii-email:1-k7f2qd:${payload}`,
  `ks1:pii-email:1-k7f2qd:${payload.slice(1)}`,
  `ks1:pii-email:1-k7f2qd:${payload}AAA`,
  `ks1:pii-email:1-k7f2qd:${payload.slice(1)}B`,
  `ks1:pii-email:1-k7f2qd:${payload}AB`,
  `ks1:pii-email:1-k7f2qd:${payload}==`,
  `ks1:pii-email:1-k7f2qd:${payload}+/AA`,
  `ks1:pii-email:1-k7f2qd:${payload}\n`,
  `ks1:pii-email:1-k7f2qd:${payload} `,
  ` ks1:pii-email:1-k7f2qd:${payload}`,
  `KS1:pii-email:1-k7f2qd:${payload}`,
  `ks2:pii-email:1-k7f2qd:${payload}`,
  `ks1b:pii-email:1-k7f2qd:${payload}`,
  `ks1s:pii-email:1-k7f2qd:${payload}`,
  `ks1s:pii-email:1-k7f2qd:\0\x1c${payload}`,
  `ks1:pii-email:1-K7F2QD:${payload}`,
  `ks1:pii-email:01-k7f2qd:${payload}`,
  `ks1:pii-email:0-k7f2qd:${payload}`,
  `ks1:pii-email:2147483648-k7f2qd:${payload}`,
  `ks1:pii-email:1-k7f2q1:${payload}`,
  `ks1:pii-email:1-k7f2q:${payload}`,
  `ks1:pii-email:-k7f2qd:${payload}`,
  `ks1:pii-email::${payload}`,
  `ks1::1-k7f2qd:${payload}`,
  `ks1:.pii:1-k7f2qd:${payload}`,
  `ks1:a/b/c/d/e:1-k7f2qd:${payload}`,
  `ks1:a//b:1-k7f2qd:${payload}`,
  `ks1:${"k".repeat(256)}:1-k7f2qd:${payload}`,
  `ks1:pii-email:1-k7f2qd:${payload}:more`,
  `ks1:pii-emaïl:1-k7f2qd:${payload}`,
  `ks1:pii-email:1-k7f2qd:${payload}é`,
  "ks1:pii-email:1-k7f2qd:",
  "ks1:pii-email:1-k7f2qd",
  "ks1:pii-email",
  "ks1::::",
  "ks1:",
  "ks1",
  "",
  "anna@example.org",
];

const bytes = "\0".repeat(28);

const nearBlobs: readonly string[] = [
  `ks1b:pii-email:1-k7f2qd:${bytes}`,
  `ks1b:pii-email:1-k7f2qd:${"\xff".repeat(100_000)}`,
  `ks1b:pii-email:1-k7f2qd:${bytes.slice(1)}`,
  `ks1:pii-email:1-k7f2qd:${payload}`,
  `ks1s:pii-email:1-k7f2qd:${bytes}`,
  `ks1s:pii-email:1-k7f2qd:\0\x1c${bytes}`,
  `ks1s:pii-email:1-k7f2qd:\0\x1c${bytes}${"\xff".repeat(100_000)}`,
  `ks1s:${"k".repeat(255)}:2147483647-zzzzzz:\x04\0${"\0".repeat(1024)}`,
  `ks1s:pii-email:1-k7f2qd:\0\x1c${bytes.slice(1)}`,
  `ks1s:pii-email:1-k7f2qd:\0\x1b${bytes}`,
  `ks1s:pii-email:1-k7f2qd:\x04\x01${"\0".repeat(2000)}`,
  `ks1s:pii-email:1-k7f2qd:\0`,
  `ks1s:pii-email:01-k7f2qd:\0\x1c${bytes}`,
  `ks1s:pii-email::\0\x1c${bytes}`,
  `KS1s:pii-email:1-k7f2qd:\0\x1c${bytes}`,
  `ks1S:pii-email:1-k7f2qd:\0\x1c${bytes}`,
  "ks1s:",
  `KS1b:pii-email:1-k7f2qd:${bytes}`,
  `ks1b:pii-email:01-k7f2qd:${bytes}`,
  `ks1b:pii\xffemail:1-k7f2qd:${bytes}`,
  `ks1b::1-k7f2qd:${bytes}`,
  `ks1b:pii-email:1-k7f2qd`,
  "ks1b:",
  "ks1b",
  "",
  "anna@example.org",
];

function textBytes(text: string): Cell {
  return { type: "text", bytes: Buffer.from(text) };
}

function blobBytes(text: string): Cell {
  return { type: "blob", bytes: Buffer.from(text, "latin1") };
}
