import type { Cell } from "../source.ts";

/** What a column prefers to store (https://www.sqlite.org/datatype3.html, section 3.1). */
export type Affinity = "INTEGER" | "TEXT" | "BLOB" | "REAL" | "NUMERIC";

/** First match decides. A column without a type has affinity BLOB: it keeps everything as it is. */
const affinities: readonly { readonly pattern: RegExp; readonly affinity: Affinity }[] = [
  { pattern: /INT/i, affinity: "INTEGER" },
  { pattern: /CHAR|CLOB|TEXT/i, affinity: "TEXT" },
  { pattern: /BLOB|^$/i, affinity: "BLOB" },
  { pattern: /REAL|FLOA|DOUB/i, affinity: "REAL" },
  { pattern: /./s, affinity: "NUMERIC" },
];

/** The affinity of a column with this declared type. In a STRICT table, type ANY keeps everything as it is. */
export function affinityOf(declaredType: string, strict: boolean): Affinity {
  if (strict && /^ANY$/i.test(declaredType)) return "BLOB";
  return affinities.find(({ pattern }) => pattern.test(declaredType))?.affinity ?? "NUMERIC";
}

/** True when a column of this affinity might store the cell as something else: the text `12` as the integer 12, NaN as NULL. */
export function mayConvert(affinity: Affinity, cell: Cell): boolean {
  return cell.type === "real" || conversions[affinity](cell);
}

const conversions: Readonly<Record<Affinity, (cell: Cell) => boolean>> = {
  BLOB: () => false,
  TEXT: (cell) => cell.type === "integer",
  REAL: (cell) => cell.type === "integer" || looksNumeric(cell),
  INTEGER: looksNumeric,
  NUMERIC: looksNumeric,
};

/** True for text that begins like a number, after white space; what doesn't can't be one. */
function looksNumeric(cell: Cell): boolean {
  if (cell.type !== "text") return false;
  const first = cell.bytes.find((byte) => byte !== 0x20 && (byte < 0x09 || byte > 0x0d));
  return first !== undefined && numberStarts.includes(first);
}

const numberStarts: readonly number[] = [...Buffer.from("+-.0123456789", "latin1")];
