import { z } from "zod";
import { maxContextPairs } from "../crypto/limits.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditEvent } from "./event.ts";

/** The longest audit line, in bytes, without its newline. */
export const maxLineLength = 65_536;

/** Items that the record of a batch names at most. */
export const maxItems = 1_000;

/** Text of `min` to `max` UTF-16 units without lone surrogates, which have no UTF-8. */
function text(max: number, min = 1): z.ZodType<string> {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed(), "must be well-formed Unicode");
}

const uuid = z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const detailName = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/);
const detailValue = z.union([text(4096, 0), z.number(), z.boolean(), z.null()]);

const recordSchema = z.strictObject({
  sequence: z.int().min(1),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  time: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  id: uuid,
  store: text(64),
  writer: uuid,
  process: z.int().min(0),
  host: text(255),
  action: z
    .string()
    .regex(/^[a-z][A-Za-z0-9-]*(?:\.[a-z][A-Za-z0-9-]*)+$/)
    .max(64),
  outcome: z.enum(["allowed", "denied", "failed"]),
  principal: z.strictObject({
    source: text(32),
    id: text(255),
    name: z.exactOptional(text(255)),
    actingFor: z.exactOptional(text(511)),
  }),
  request: z.exactOptional(z.strictObject({ id: text(128), address: z.exactOptional(text(64)) })),
  key: z.exactOptional(text(255)),
  version: z.exactOptional(text(32)),
  dataset: z.exactOptional(text(255)),
  purpose: z.exactOptional(text(64)),
  context: z.exactOptional(
    z
      .record(text(255), text(4096, 0))
      .refine((context) => Object.keys(context).length <= maxContextPairs, `must have at most ${String(maxContextPairs)} pairs`),
  ),
  items: z.exactOptional(z.array(z.string().regex(/^[A-Za-z0-9_-]{0,43}(?:![A-Z0-9_]{1,64})?$/)).max(maxItems)),
  reason: z.exactOptional(text(1024)),
  code: z.exactOptional(text(64)),
  detail: z.exactOptional(
    z.record(detailName, detailValue).refine((detail) => Object.keys(detail).length <= 64, "must have at most 64 entries"),
  ),
});

/**
 * One line of the audit. `previous` is the hash chain up to the line before, hexadecimal: with it an altered record is found
 * by its number, not only by the checkpoint that covers it.
 */
export type AuditRecord = Readonly<z.infer<typeof recordSchema>>;

/** What a record says about where it was written. */
export interface RecordOrigin {
  readonly store: string;
  readonly writer: string;
  readonly process: number;
  readonly host: string;
}

/** Place and time of a record. */
export interface RecordPlace {
  readonly sequence: number;
  /** Chain value before this record. */
  readonly previous: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly id: string;
}

function formatTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

/**
 * The bytes of a record, with fields always in the same order.
 *
 * Names have at most 255 UTF-16 units, `reason` 1,024, each of at most 64 detail values 4,096, the line 65,536 bytes.
 * Nothing is shortened: what does not fit is refused, so that no record says something else than its caller did.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` naming the field
 */
export function encodeRecord(origin: RecordOrigin, place: RecordPlace, event: AuditEvent): Buffer {
  const { source, id } = event.principal;
  const fields = {
    sequence: place.sequence,
    previous: Buffer.from(place.previous).toString("hex"),
    time: formatTime(place.time),
    id: place.id,
    store: origin.store,
    writer: origin.writer,
    process: origin.process,
    host: origin.host,
    action: event.action,
    outcome: event.outcome,
    principal: { source, id, ...optional(event.principal, ["name", "actingFor"]) },
    ...optional(event, ["request", "key", "version", "dataset", "purpose", "context", "items", "reason", "code", "detail"]),
  };
  const checked = recordSchema.safeParse(fields);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    const field = issue?.path.map(String).join(".") ?? "event";
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `audit event: ${field} is not what a record can hold: ${issue?.message.toLowerCase() ?? "malformed"}`,
    );
  }
  const line = Buffer.from(JSON.stringify(fields));
  if (line.length > maxLineLength) {
    throw new KeysteadError("INVALID_ARGUMENT", `audit event: a record has at most ${String(maxLineLength)} bytes; give less detail`);
  }
  return line;
}

/** The named fields that are there. */
function optional<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  const found: Partial<Pick<T, K>> = {};
  for (const name of names) if (from[name] !== undefined) found[name] = from[name];
  return found;
}

/** Reads a line. Undefined when it is no record, whatever the reason; never throws. */
export function parseRecord(line: Uint8Array): AuditRecord | undefined {
  const json = line.length > maxLineLength ? undefined : decodeUtf8(line);
  if (json === undefined) return undefined;
  try {
    return recordSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}
