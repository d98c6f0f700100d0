import type { CanonicalType } from "../../fields/canonical-text.ts";

/**
 * What declared types say about the text of values in contexts. SQLite takes any words for a type, so only whole names that mean one
 * thing everywhere are here. Left out is what does not tell: `DATETIME` and `TIMESTAMP` (of which zone, and kept as text or number?),
 * `TINYINT(1)` (a truth value to some), `STRING` (numbers to SQLite), no type at all; and floating point, which has no text.
 */
const names: readonly (readonly [pattern: RegExp, type: CanonicalType])[] = [
  [/^(?:UNSIGNED )?(?:TINY|SMALL|MEDIUM|BIG ?)?INT(?:EGER|2|4|8)?(?: (?:UN)?SIGNED)?$/, "integer"],
  [/^(?:NUMERIC|DECIMAL|DEC)$/, "numeric"],
  [/^BOOL(?:EAN)?$/, "boolean"],
  [/^(?:UUID|GUID|UNIQUEIDENTIFIER)$/, "uuid"],
  [/^DATE$/, "date"],
  [/^(?:TIMESTAMPTZ|TIMESTAMP WITH TIME ZONE|DATETIMEOFFSET)$/, "timestamptz"],
  [/^(?:(?:TINY|MEDIUM|LONG)?TEXT|N?(?:VAR)?CHAR|(?:NATIVE )?CHARACTER|(?:CHARACTER VARYING|VARYING CHARACTER)|CLOB)$/, "text"],
  [/^(?:(?:TINY|MEDIUM|LONG)?BLOB|(?:VAR)?BINARY|BYTEA)$/, "bytes"],
];

const truthOrNumber = /^TINYINT *\( *1 *\)/i;

/** The canonical type of a column by its declared type; undefined where that does not tell. */
export function canonicalTypeOf(declaredType: string): CanonicalType | undefined {
  if (truthOrNumber.test(declaredType)) return undefined;
  const name = declaredType
    .toUpperCase()
    .replaceAll(/\([^)]*\)/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  return names.find(([pattern]) => pattern.test(name))?.[1];
}
