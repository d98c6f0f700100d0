import { encodeBase64url } from "../crypto/base64url.ts";
import { parseBinary, type ParsedCiphertext, parseText } from "../crypto/ciphertext.ts";
import { encodeHex } from "../crypto/hex.ts";
import { type ParsedStream, parseStream } from "../crypto/stream.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import { decodeTypedValue, encodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import type { Cell } from "./source.ts";

/** What a stored value is to Keystead. */
export type CellContent =
  | { readonly kind: "null" }
  | { readonly kind: "plaintext" }
  | { readonly kind: "ciphertext"; readonly sealed: ParsedCiphertext | ParsedStream };

/**
 * Tells ciphertext from plaintext by strict parsing alone: what doesn't parse is plaintext, whatever it begins with. The text form is
 * text only, the binary form and streams are bytes only.
 */
export function readCell(cell: Cell): CellContent {
  if (cell.type === "null") return { kind: "null" };
  const sealed =
    cell.type === "text"
      ? parseTextBytes(cell.bytes)
      : cell.type === "blob"
        ? (parseBinary(cell.bytes) ?? parseStream(cell.bytes))
        : undefined;
  return sealed === undefined ? { kind: "plaintext" } : { kind: "ciphertext", sealed };
}

/**
 * The plaintext bytes of a cell in a kind; undefined when the kind can't carry it: text that is not UTF-8, and of kind `value`,
 * which keeps no type, everything but text in a text column and bytes in a binary one.
 */
export function cellToPlaintext(cell: Cell, kind: "typed" | "value", form: "text" | "binary"): Uint8Array | undefined {
  const value = cellToValue(cell);
  if (value === undefined) return undefined;
  if (kind === "typed") return encodeTypedValue(value);
  return "bytes" in cell && cell.type === (form === "text" ? "text" : "blob") ? cell.bytes : undefined;
}

/** The value in a cell; undefined for NULL and for text that is not UTF-8. */
export function cellToValue(cell: Cell): string | number | bigint | Uint8Array | undefined {
  switch (cell.type) {
    case "null":
      return undefined;
    case "text":
      return decodeUtf8(cell.bytes);
    case "blob":
      return cell.bytes;
    case "integer":
    case "real":
      return cell.value;
  }
}

/** The value in plaintext bytes of a kind; undefined when they are not of that kind. */
export function plaintextToValue(plaintext: Uint8Array, kind: "typed" | "value", form: "text" | "binary"): FieldValue | undefined {
  if (kind === "typed") return decodeTypedValue(plaintext);
  return form === "binary" ? plaintext : decodeUtf8(plaintext);
}

/** How a value is stored once it is plaintext again; undefined for integers that no database holds. */
export function valueToCell(value: FieldValue): Cell | undefined {
  if (typeof value === "string") return textCell(value);
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? { type: "integer", value } : undefined;
  if (typeof value === "boolean") return { type: "integer", value: value ? 1n : 0n };
  if (typeof value === "number") return { type: "real", value };
  if (value instanceof Uint8Array) return { type: "blob", bytes: value };
  return textCell(value instanceof Date ? value.toISOString() : JSON.stringify(value));
}

export function textCell(text: string): Cell {
  return { type: "text", bytes: Buffer.from(text) };
}

/** A ciphertext as a cell. */
export function sealedCell(sealed: string | Buffer): Cell {
  return typeof sealed === "string" ? { type: "text", bytes: Buffer.from(sealed, "latin1") } : { type: "blob", bytes: sealed };
}

/** Text of a key cell, by which people find the row; text that is not UTF-8 as `x'616263ff'`. Undefined for NULL and reals. */
export function cellToKeyText(cell: Cell): string | undefined {
  switch (cell.type) {
    case "integer":
      return cell.value.toString();
    case "text":
      return decodeUtf8(cell.bytes) ?? `x'${encodeHex(cell.bytes)}'`;
    case "blob":
      return encodeBase64url(cell.bytes);
    case "null":
    case "real":
      return undefined;
  }
}

/** Exact equality of storage type and bytes. */
export function sameCell(a: Cell, b: Cell): boolean {
  if ((a.type === "text" || a.type === "blob") && (b.type === "text" || b.type === "blob")) {
    return a.type === b.type && Buffer.compare(a.bytes, b.bytes) === 0;
  }
  if (a.type === "integer" && b.type === "integer") return a.value === b.value;
  if (a.type === "real" && b.type === "real") return Object.is(a.value, b.value);
  return a.type === "null" && b.type === "null";
}

function parseTextBytes(bytes: Uint8Array): ParsedCiphertext | undefined {
  // Ciphertext is ASCII; latin1 maps every other byte to a character that the parser refuses.
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.length > 4 && view[0] === 0x6b ? parseText(view.toString("latin1")) : undefined;
}
