import { decodeBase64url, encodeBase64url } from "../crypto/base64url.ts";
import { KeysteadError } from "../errors.ts";
import type { Cell, Cursor } from "./source.ts";

/** The place after the row with these locating cells. */
export function encodeCursor(cells: readonly Cell[]): Cursor {
  return JSON.stringify(cells.map((cell) => [cell.type, encodeValue(cell)]));
}

/**
 * The cells of {@link encodeCursor}.
 * @throws KeysteadError `INVALID_ARGUMENT` for a text that it did not write, or for another number of cells.
 */
export function decodeCursor(cursor: Cursor, length: number): Cell[] {
  const items = parseArray(cursor);
  const cells = items?.map(decodeCell).filter((cell) => cell !== undefined);
  if (items?.length !== length || cells?.length !== length) {
    throw new KeysteadError("INVALID_ARGUMENT", "cursor does not belong to this table as it is now: start without a cursor");
  }
  return cells;
}

function encodeValue(cell: Cell): string {
  if (cell.type === "null") return "";
  if (cell.type === "integer") return cell.value.toString();
  return encodeBase64url(cell.type === "real" ? realBytes(cell.value) : cell.bytes);
}

function decodeCell(item: unknown): Cell | undefined {
  const pair: readonly unknown[] = Array.isArray(item) ? item : [];
  const [type, text] = pair;
  return pair.length === 2 && typeof type === "string" && typeof text === "string" ? decoders.get(type)?.(text) : undefined;
}

const decoders: ReadonlyMap<string, (text: string) => Cell | undefined> = new Map([
  ["null", (text: string): Cell | undefined => (text === "" ? { type: "null" } : undefined)],
  ["integer", decodeInteger],
  ["real", decodeReal],
  ["text", (text: string): Cell | undefined => decodeBytes("text", text)],
  ["blob", (text: string): Cell | undefined => decodeBytes("blob", text)],
]);

function decodeInteger(text: string): Cell | undefined {
  if (!/^(?:0|-?[1-9][0-9]{0,18})$/.test(text)) return undefined;
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? { type: "integer", value } : undefined;
}

function decodeReal(text: string): Cell | undefined {
  const bytes = decodeBase64url(text);
  return bytes?.length === 8 ? { type: "real", value: bytes.readDoubleBE() } : undefined;
}

function decodeBytes(type: "text" | "blob", text: string): Cell | undefined {
  const bytes = decodeBase64url(text);
  return bytes === undefined ? undefined : { type, bytes };
}

function realBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function parseArray(json: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
