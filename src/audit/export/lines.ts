import { z } from "zod";
import { decodeBase64url, encodeBase64url } from "../../crypto/base64url.ts";
import { encodeFields, type Field } from "../../crypto/encode.ts";
import { decodeUtf8 } from "../../crypto/text.ts";
import { hash } from "node:crypto";
import { parseInteger, splitFields } from "../checkpoint.ts";
import type { ChainPosition } from "../hash-chain.ts";
import { uuidPattern } from "../record-check.ts";

/** The longest line of an export: a checkpoint's body has at most 16 MiB, in base64url a third more. */
export const maxExportLine = 24 * 1024 * 1024;

/** Sections that one statement lists at most. */
export const sectionsPerStatement = 1000;

const tag = "keystead export v1";
const hashLength = 32;

const instant = z.iso.datetime({ precision: 3 });
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const base64url = z.string().refine((text) => decodeBase64url(text) !== undefined, "must be base64url");
const signed = { body: base64url, signature: base64url, signer: z.string().min(1).max(255) };

const lineSchemas = {
  export: z.strictObject({
    type: z.literal("export"),
    version: z.literal(1),
    store: z.string().min(1).max(64),
    takenAt: instant,
    since: z.exactOptional(instant),
    until: z.exactOptional(instant),
  }),
  signer: z.strictObject({ type: z.literal("signer"), signer: signed.signer, publicKey: base64url }),
  checkpoint: z.strictObject({ type: z.literal("checkpoint"), ...signed }),
  writer: z.strictObject({ type: z.literal("writer"), writer: z.string().regex(uuidPattern), count: z.int().min(0), head: hex }),
  statement: z.strictObject({ type: z.literal("statement"), ...signed }),
} as const;

const lineSchema = z.discriminatedUnion("type", [
  lineSchemas.export,
  lineSchemas.signer,
  lineSchemas.checkpoint,
  lineSchemas.writer,
  lineSchemas.statement,
]);

/** A line of an export that is no record. */
export type ExportLine = Readonly<z.infer<typeof lineSchema>>;

/** The first line of an export. */
export type ExportHeader = Extract<ExportLine, { readonly type: "export" }>;

/** Bytes with the signature over them. */
export interface Signed {
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  readonly signer: string;
}

/** The bytes of a line, without the line feed. */
export function formatLine(line: ExportLine): Buffer {
  return Buffer.from(JSON.stringify(line));
}

/** The line that a chain goes on from: records of this writer follow, the first of them behind this position. */
export function writerLine({ writer, count, head }: ChainPosition): ExportLine {
  return { type: "writer", writer, count, head: head.toString("hex") };
}

/** A signed line. */
export function signedLine(type: "checkpoint" | "statement", { body, signature, signer }: Signed): ExportLine {
  return { type, body: encodeBase64url(body), signature: encodeBase64url(signature), signer };
}

/** Reads a line. Undefined when it is none, or not written as {@link formatLine} writes it; never throws. */
export function parseLine(bytes: Uint8Array): ExportLine | undefined {
  const text = bytes.length > maxExportLine ? undefined : decodeUtf8(bytes);
  if (text?.startsWith('{"type":') !== true) return undefined;
  try {
    const line = lineSchema.safeParse(JSON.parse(text)).data;
    return line !== undefined && JSON.stringify(line) === text ? line : undefined;
  } catch {
    return undefined;
  }
}

/** The bytes of a text that {@link parseLine} let through. */
export function bytesOf(text: string): Buffer {
  return decodeBase64url(text) ?? Buffer.alloc(0);
}

/** One writer's part of an export: the records behind `from`, up to `to`. */
export interface Section {
  readonly from: ChainPosition;
  readonly to: ChainPosition;
}

/** What the signer of an export says about a part of it. */
export interface Statement {
  /** SHA-256 of the lines before the first checkpoint, with their line feeds. */
  readonly preamble: Buffer;
  /** The newest checkpoint in the export, hexadecimal. */
  readonly closing: string;
  /** Checkpoints in the export. */
  readonly checkpoints: number;
  /** From 1 on. */
  readonly number: number;
  /** True for the last one. */
  readonly last: boolean;
  /** Those since the statement before, sorted by writer. */
  readonly sections: readonly Section[];
}

/**
 * The signed bytes: `E("keystead export v1", preamble, closing checkpoint, number of checkpoints, number of the statement, "more" or
 * "last", then for each section: writer, count and head before it, count and head after it)`.
 */
export function encodeStatement({ preamble, closing, checkpoints, number, last, sections }: Statement): Buffer {
  const listed = sections.flatMap(({ from, to }): Field[] => [from.writer, from.count, from.head, to.count, to.head]);
  return encodeFields(tag, preamble, Buffer.from(closing, "hex"), checkpoints, number, last ? "last" : "more", ...listed);
}

/** Reads signed bytes. Undefined when they are no statement; never throws. */
export function parseStatement(body: Uint8Array): Statement | undefined {
  const [magic, preamble, closing, checkpointsField, numberField, lastField, ...listed] = splitFields(Buffer.from(body)) ?? [];
  const checkpoints = parseInteger(checkpointsField);
  const number = parseInteger(numberField);
  const last = lastField?.toString("latin1");
  if (magic?.toString("latin1") !== tag || preamble?.length !== hashLength || closing?.length !== hashLength) return undefined;
  if (checkpoints === undefined || number === undefined || (last !== "last" && last !== "more") || listed.length % 5 !== 0)
    return undefined;
  const sections: Section[] = [];
  for (let index = 0; index < listed.length; index += 5) {
    const writer = listed[index]?.toString("latin1") ?? "";
    const [fromCount, toCount] = [parseInteger(listed[index + 1]), parseInteger(listed[index + 3])];
    const [fromHead, toHead] = [listed[index + 2], listed[index + 4]];
    if (!uuidPattern.test(writer) || fromCount === undefined || toCount === undefined) return undefined;
    if (fromHead?.length !== hashLength || toHead?.length !== hashLength) return undefined;
    sections.push({ from: { writer, count: fromCount, head: fromHead }, to: { writer, count: toCount, head: toHead } });
  }
  return { preamble, closing: closing.toString("hex"), checkpoints, number, last: last === "last", sections };
}

/** Hash of the lines before the first checkpoint. */
export function preambleHash(lines: readonly Uint8Array[]): Buffer {
  const parts = lines.flatMap((line) => [line, Buffer.from("\n")]);
  return Buffer.from(hash("sha256", Buffer.concat(parts), "hex"), "hex");
}
