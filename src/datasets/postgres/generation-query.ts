import { quoteIdentifier } from "../../postgres/identifier.ts";
import { isBase64url } from "./base64url-check.ts";

/** Bytes that a token has at most, with room to spare. */
const maxTokenBytes = 128;

/** What the generation of a token looks like, in the regular expressions of PostgreSQL. */
export const generationPattern = "^[1-9][0-9]{0,15}$";

/** SQL of the generation of a token `<generation>.<base64url>`; '' for everything else but NULL. */
export function generationExpression(column: string): string {
  const value = `${quoteIdentifier(column)}::pg_catalog.text collate "C"`;
  const generation = `split_part(${value}, '.', 1)`;
  const token = `split_part(${value}, '.', 2)`;
  return (
    `case when ${value} is null then null when octet_length(${value}) <= ${String(maxTokenBytes)} and ${token} <> '' ` +
    `and octet_length(${value}) = octet_length(${generation}) + 1 + octet_length(${token}) and ${isBase64url(token)} then ${generation} else '' end`
  );
}
