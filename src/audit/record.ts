import { z } from "zod";
import { decodeUtf8 } from "../crypto/text.ts";
import { KeysteadError } from "../errors.ts";
import type { Writable } from "../writable.ts";
import type { AuditEvent } from "./event.ts";
import {
  actionPattern,
  detailNamePattern,
  isPlainBody,
  isPlainHead,
  isPlainOrigin,
  isPlainRecord,
  itemPattern,
  limits,
  timePattern,
  uuidPattern,
} from "./record-check.ts";

/** The longest audit line, in bytes, without its newline. */
export const maxLineLength = 65_536;

/** Text of `min` to `max` UTF-16 units without lone surrogates, which have no UTF-8. */
function text(max: number, min = 1): z.ZodType<string> {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed(), "must be well-formed Unicode");
}

const uuid = z.string().regex(uuidPattern);
const detailName = z.string().regex(detailNamePattern);
const detailValue = z.union([text(limits.value, 0), z.number(), z.boolean(), z.null()]);

/** What a line may say. {@link isPlainRecord} says the same, faster. */
export const recordSchema = z.strictObject({
  sequence: z.int().min(1),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
  time: z.string().regex(timePattern),
  id: uuid,
  store: text(limits.store),
  writer: uuid,
  process: z.int().min(0),
  host: text(limits.name),
  action: z.string().regex(actionPattern).max(limits.action),
  outcome: z.enum(["allowed", "denied", "failed"]),
  principal: z.strictObject({
    source: text(limits.source),
    id: text(limits.name),
    name: z.exactOptional(text(limits.name)),
    actingFor: z.exactOptional(text(limits.actingFor)),
  }),
  request: z.exactOptional(z.strictObject({ id: text(limits.request), address: z.exactOptional(text(limits.address)) })),
  key: z.exactOptional(text(limits.name)),
  version: z.exactOptional(text(limits.version)),
  dataset: z.exactOptional(text(limits.name)),
  purpose: z.exactOptional(text(limits.purpose)),
  context: z.exactOptional(
    z
      .record(text(limits.name), text(limits.value, 0))
      .refine((context) => Object.keys(context).length <= limits.pairs, `must have at most ${String(limits.pairs)} pairs`),
  ),
  items: z.exactOptional(z.array(z.string().regex(itemPattern)).max(limits.items)),
  reason: z.exactOptional(text(limits.reason)),
  code: z.exactOptional(text(limits.code)),
  detail: z.exactOptional(
    z
      .record(detailName, detailValue)
      .refine((detail) => Object.keys(detail).length <= limits.details, `must have at most ${String(limits.details)} entries`),
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
  /** Chain value before this record, in hexadecimal. */
  readonly previous: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly id: string;
}

const millisecondsPerSecond = 1_000;

function formatTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

/** Writes the records of one origin, which is checked and put into JSON once. */
export class RecordEncoder {
  readonly #origin: RecordOrigin;
  /** The origin's members, `"store":…,"host":…`; undefined when no record can hold it. */
  readonly #originJson: string | undefined;
  /** A second, and its text up to the point: milliseconds are put behind it faster than Node writes a time. */
  #second = { number: Number.NaN, text: "" };

  constructor({ store, writer, process, host }: RecordOrigin) {
    this.#origin = { store, writer, process, host };
    this.#originJson = isPlainOrigin(this.#origin) ? JSON.stringify(this.#origin).slice(1, -1) : undefined;
  }

  /**
   * The line of a record, with fields always in the same order.
   *
   * Names have at most 255 UTF-16 units, `reason` 1,024, each of at most 64 detail values 4,096, the line 65,536 bytes.
   * Nothing is shortened: what does not fit is refused, so that no record says something else than its caller did.
   *
   * @throws KeysteadError `INVALID_ARGUMENT` naming the field
   */
  encode(place: RecordPlace, event: AuditEvent): string {
    const head = { sequence: place.sequence, previous: place.previous, time: this.#formatTime(place.time), id: place.id };
    let body = bodyOf(event);
    // The schema decides; the direct check only spares asking it about what is plainly good. What it read is written: JSON leaves out what
    // an object only inherits.
    if (this.#originJson === undefined || !isPlainHead(head) || !isPlainBody(body))
      body = bodyOf(checkRecord({ ...head, ...this.#origin, ...body }));
    const { sequence, previous, time, id } = head;
    const origin = this.#originJson ?? JSON.stringify(this.#origin).slice(1, -1);
    const start = `{"sequence":${String(sequence)},"previous":"${previous}","time":"${time}","id":"${id}",${origin},`;
    const line = start + JSON.stringify(body).slice(1);
    // No UTF-16 unit has more than three bytes.
    if (line.length * 3 > maxLineLength && Buffer.byteLength(line) > maxLineLength) {
      throw new KeysteadError("INVALID_ARGUMENT", `audit event: a record has at most ${String(maxLineLength)} bytes; give less detail`);
    }
    return line;
  }

  /** As ISO 8601; empty for what is no time. */
  #formatTime(milliseconds: number): string {
    const number = Math.floor(milliseconds / millisecondsPerSecond);
    if (number !== this.#second.number)
      this.#second = { number, text: formatTime(number * millisecondsPerSecond).slice(0, -"000Z".length) };
    const { text } = this.#second;
    return text === "" ? "" : `${text}${String(Math.floor(milliseconds) - number * millisecondsPerSecond).padStart(3, "0")}Z`;
  }
}

/** What an event says, or a record of it. */
type Said = { readonly [F in keyof AuditEvent]: AuditRecord[F] | AuditEvent[F] };

/** What an event says, in the order of the line. Member by member, as every served call has one. */
function bodyOf(event: Said): Said {
  const { source, id, name, actingFor } = event.principal;
  const principal: Writable<Said["principal"]> = { source, id };
  if (name !== undefined) principal.name = name;
  if (actingFor !== undefined) principal.actingFor = actingFor;
  const body: Writable<Said> = { action: event.action, outcome: event.outcome, principal };
  if (event.request !== undefined) body.request = event.request;
  if (event.key !== undefined) body.key = event.key;
  if (event.version !== undefined) body.version = event.version;
  if (event.dataset !== undefined) body.dataset = event.dataset;
  if (event.purpose !== undefined) body.purpose = event.purpose;
  if (event.context !== undefined) body.context = event.context;
  if (event.items !== undefined) body.items = event.items;
  if (event.reason !== undefined) body.reason = event.reason;
  if (event.code !== undefined) body.code = event.code;
  if (event.detail !== undefined) body.detail = event.detail;
  return body;
}

/** @throws KeysteadError `INVALID_ARGUMENT` naming the field */
function checkRecord(fields: object): AuditRecord {
  const checked = recordSchema.safeParse(fields);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const field = issue?.path.map(String).join(".") ?? "event";
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `audit event: ${field} is not what a record can hold: ${issue?.message.toLowerCase() ?? "malformed"}`,
  );
}

/** One record of an origin; {@link RecordEncoder} for many. @throws KeysteadError `INVALID_ARGUMENT` naming the field */
export function encodeRecord(origin: RecordOrigin, place: RecordPlace, event: AuditEvent): Buffer {
  return Buffer.from(new RecordEncoder(origin).encode(place, event));
}

/** Reads a line. Undefined when it is no record, whatever the reason; never throws. */
export function parseRecord(line: Uint8Array): AuditRecord | undefined {
  const json = line.length > maxLineLength ? undefined : decodeUtf8(line);
  if (json === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return isPlainRecord(value) ? value : recordSchema.safeParse(value).data;
  } catch {
    return undefined;
  }
}
