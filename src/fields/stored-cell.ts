import { decodeUtf8 } from "../crypto/text.ts";
import { KeysteadError } from "../errors.ts";
import { type CanonicalValue, floatingPoint } from "./canonical-text.ts";

/** A value with its storage type, as a database gives it. The cells of dataset sources are of this form. */
export type StoredCell =
  | { readonly type: "null" }
  | { readonly type: "text"; readonly bytes: Uint8Array }
  | { readonly type: "integer"; readonly value: bigint }
  | { readonly type: "real"; readonly value: number }
  | { readonly type: "blob"; readonly bytes: Uint8Array };

/**
 * The value of a cell as a program holds it, so that a database row and a record give the same context.
 *
 * @param what - Names the cell in errors, for example `column id`.
 * @throws KeysteadError `INVALID_ARGUMENT` for floating point, whole numbers included, and for text that is not UTF-8.
 */
export function cellValue(cell: StoredCell, what: string): CanonicalValue {
  if (cell.type === "null") return null;
  if (cell.type === "integer") return cell.value;
  if (cell.type === "blob") return cell.bytes;
  if (cell.type === "real") throw floatingPoint(what);
  const text = decodeUtf8(cell.bytes);
  if (text === undefined) throw new KeysteadError("INVALID_ARGUMENT", `${what} is not UTF-8: repair the text first`);
  return text;
}
