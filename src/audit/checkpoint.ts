import { createHash } from "node:crypto";
import { encodeFields, type Field } from "../crypto/encode.ts";
import type { ChainPosition } from "./hash-chain.ts";

const tag = "keystead checkpoint v1";
const hashLength = 32;
const maxBodyLength = 16 * 1024 * 1024;

/**
 * What a checkpoint binds.
 *
 * It lists the writers whose chains grew since the checkpoint before; a writer that isn't listed stands where the chain of
 * checkpoints last said. The newest checkpoint binds all earlier ones by `previous`, and so every writer there ever was,
 * without growing with the number of processes that ever ran.
 */
export interface CheckpointBody {
  /** Hash of the checkpoint before, hexadecimal; empty for the first. */
  readonly previous: string;
  /** Generation of the store's manifest when it was taken. */
  readonly generation: number;
  /** Sorted by writer, each once. */
  readonly positions: readonly ChainPosition[];
}

/**
 * The signed bytes: `E("keystead checkpoint v1", hash of the previous checkpoint, manifest generation, then for each writer,
 * sorted: writer id, count, head)`. Hashes are 32 raw bytes; before the first checkpoint there is none (an empty field).
 */
export function encodeCheckpoint({ previous, generation, positions }: CheckpointBody): Buffer {
  const sorted = [...positions].sort((a, b) => (a.writer < b.writer ? -1 : 1));
  const listed = sorted.flatMap(({ writer, count, head }): Field[] => [writer, count, head]);
  return encodeFields(tag, Buffer.from(previous, "hex"), generation, ...listed);
}

/** Hash of a checkpoint, hexadecimal: SHA-256 of its signed bytes. */
export function checkpointHash(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("hex");
}

/** Splits `E(…)`; undefined when a length does not fit. */
export function splitFields(bytes: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (offset + 4 > bytes.length) return undefined;
    const end = offset + 4 + bytes.readUInt32BE(offset);
    if (end > bytes.length) return undefined;
    fields.push(bytes.subarray(offset + 4, end));
    offset = end;
  }
  return fields;
}

/** A field that is an integer without sign and leading zeros; undefined otherwise. */
export function parseInteger(field: Buffer | undefined): number | undefined {
  const text = field === undefined || field.length > 16 ? "" : field.toString("latin1");
  const value = /^(?:0|[1-9][0-9]*)$/.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Reads signed bytes. Undefined when they are no checkpoint, whatever the reason; never throws. */
export function parseCheckpoint(body: Uint8Array): CheckpointBody | undefined {
  if (body.length > maxBodyLength) return undefined;
  const [magic, previous, generationField, ...listed] = splitFields(Buffer.from(body)) ?? [];
  const generation = parseInteger(generationField);
  if (magic?.toString("latin1") !== tag || previous === undefined || generation === undefined || listed.length % 3 !== 0) return undefined;
  if (previous.length !== 0 && previous.length !== hashLength) return undefined;
  const positions: ChainPosition[] = [];
  for (let index = 0; index < listed.length; index += 3) {
    const writer = listed[index]?.toString("latin1") ?? "";
    const count = parseInteger(listed[index + 1]);
    const head = listed[index + 2];
    const before = positions.at(-1)?.writer;
    if (count === undefined || head?.length !== hashLength || !/^[0-9a-f-]{36}$/.test(writer)) return undefined;
    if (before !== undefined && before >= writer) return undefined;
    positions.push({ writer, count, head });
  }
  return { previous: previous.toString("hex"), generation, positions };
}
