import { KeysteadError } from "../errors.ts";
import { encodeUtf8, viewBytes } from "./text.ts";

/** A part of an encoded record: text becomes UTF-8, an integer becomes ASCII decimal. */
export type Field = string | Uint8Array | number | bigint;

/**
 * `E(a, b, …)` of the format: each field as its length (u32, big-endian) and its bytes, one after the other, so that no
 * two different lists of fields have the same bytes.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for a lone surrogate and for a number that is not a safe integer.
 */
export function encodeFields(...fields: Field[]): Buffer {
  const parts = fields.map(fieldBytes);
  const record = Buffer.allocUnsafe(parts.reduce((length, part) => length + 4 + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    offset = record.writeUInt32BE(part.length, offset);
    record.set(part, offset);
    offset += part.length;
  }
  return record;
}

function fieldBytes(field: Field): Buffer {
  if (typeof field === "string") return encodeUtf8(field, "field");
  if (typeof field === "bigint") return Buffer.from(field.toString(), "latin1");
  if (typeof field !== "number") return viewBytes(field);
  if (!Number.isSafeInteger(field)) throw new KeysteadError("INVALID_ARGUMENT", "field is not a safe integer: pass a bigint, or text");
  return Buffer.from(field.toString(), "latin1");
}
