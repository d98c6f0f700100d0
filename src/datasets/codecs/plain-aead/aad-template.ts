import { encodeUtf8 } from "../../../crypto/text.ts";
import type { ForeignPlace } from "../../codec.ts";

/** A template of additional data, taken apart. */
export interface AadTemplate {
  /** Columns of the row that it names. */
  readonly rowColumns: readonly string[];
  /** The bytes at a place. @throws what the place throws */
  readonly render: (place: ForeignPlace) => Buffer;
}

/** What a template may name beside columns of the row. */
const facts: Readonly<Record<string, (place: ForeignPlace) => string>> = {
  table: ({ table }) => table,
  column: ({ column }) => column,
  name: ({ name }) => name,
};

const rowPrefix = "row.";
const piecePattern = /\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+/g;

/**
 * Takes a template apart: text with `{table}`, `{column}` (physical), `{name}` (logical column) and `{row.<physical column>}`; `{{` and
 * `}}` are braces.
 * @returns what is wrong with it, as text, when it is none
 */
export function parseAadTemplate(text: string): AadTemplate | string {
  if (!text.isWellFormed()) return "is not well-formed text";
  const rowColumns: string[] = [];
  const pieces: ((place: ForeignPlace) => string)[] = [];
  for (const [piece, placeholder] of text.matchAll(piecePattern)) {
    if (placeholder === undefined) {
      if (piece === "{" || piece === "}") return "has a lone brace: write it twice";
      const literal = piece === "{{" || piece === "}}" ? piece.slice(1) : piece;
      pieces.push(() => literal);
    } else if (placeholder.startsWith(rowPrefix) && placeholder.length > rowPrefix.length) {
      const column = placeholder.slice(rowPrefix.length);
      rowColumns.push(column);
      pieces.push(({ rowText }) => rowText(column));
    } else {
      const fact = Object.hasOwn(facts, placeholder) ? facts[placeholder] : undefined;
      if (fact === undefined) return "names what it can't: use {table}, {column}, {name} or {row.COLUMN}";
      pieces.push(fact);
    }
  }
  return {
    rowColumns: [...new Set(rowColumns)],
    render: (place) => encodeUtf8(pieces.map((piece) => piece(place)).join(""), "additional data"),
  };
}
