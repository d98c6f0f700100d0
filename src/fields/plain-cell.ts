import { types } from "node:util";
import { parseBinary, parseText } from "../crypto/ciphertext.ts";
import { parseStream } from "../crypto/stream.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { type FieldTypeName, fieldTypes } from "./field-types.ts";

/**
 * True for a stored value that parses strictly as Keystead ciphertext, whether it opens or not: text in the text form, bytes in the binary
 * form or as a stream. Everything else is plaintext, whatever it begins with.
 */
export function isCiphertext(stored: unknown): boolean {
  if (typeof stored === "string") return parseText(stored) !== undefined;
  return types.isUint8Array(stored) && (parseBinary(stored) ?? parseStream(stored)) !== undefined;
}

/**
 * A plaintext value, as a database driver gives it, as the declared type; undefined where something would be lost by it. It is what the
 * same value gives once a job has sealed it, so reading does not change with the row's protection.
 */
export function readPlain(type: FieldTypeName, stored: unknown): FieldValue | undefined {
  // Text may be JSON or a string that looks like it, and a job seals it as a string.
  if (type === "json" && typeof stored === "string") return undefined;
  // Drivers give whole numbers as numbers; a job seals them as bigints.
  const value = Number.isSafeInteger(stored) && type === "string" ? String(stored) : stored;
  return isFieldValue(value) ? fieldTypes[type].coerce(value) : undefined;
}

function isFieldValue(value: unknown): value is FieldValue {
  return ["string", "number", "bigint", "boolean", "object"].includes(typeof value) && value !== null;
}
