import { quoteIdentifier } from "../../postgres/identifier.ts";
import { isBase64url } from "./base64url-check.ts";
import type { CountedColumn } from "./header-query.ts";

/** Bytes that a token has at most, with room to spare. */
const maxTokenBytes = 128;

/** What the generation of a token looks like, in the regular expressions of PostgreSQL. */
export const generationPattern = "^[1-9][0-9]{0,15}$";

/** Groups tokens `<generation>.<base64url>` by generation. */
export function countedGeneration(column: string): CountedColumn {
  const value = `${quoteIdentifier(column)}::pg_catalog.text collate "C"`;
  return {
    parts: [value, `split_part(${value}, '.', 1)`, `split_part(${value}, '.', 2)`],
    group: (whole = "", generation = "", token = "") =>
      `case when ${whole} is null then null when octet_length(${whole}) <= ${String(maxTokenBytes)} and ${token} <> '' ` +
      `and octet_length(${whole}) = octet_length(${generation}) + 1 + octet_length(${token}) and ${isBase64url(token)} then ${generation} else '' end`,
  };
}
