import { ciphertextMagic, maxHeaderBytes, minPayloadBytes } from "../../crypto/ciphertext.ts";
import { maxPayloadBytes, maxSealedFileKeyBytes } from "../../crypto/limits.ts";
import { maxStreamHeadBytes, minSealedFileKeyBytes } from "../../crypto/stream-header.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import { isBase64url } from "./base64url-check.ts";

const colon = 0x3a;
const characters = (bytes: number): string => String(Math.ceil((bytes * 4) / 3));

/**
 * SQL of `<key>:<label>` for what parses as ciphertext if that is a header; '' for everything else but NULL. It begins with
 * what is cheap and excludes most.
 */
export function headerExpression(column: string, form: "text" | "binary"): string {
  const name = quoteIdentifier(column);
  return form === "text" ? textHeader(`${name}::pg_catalog.text collate "C"`) : binaryHeader(name);
}

/**
 * Counts the results of expressions over a table, each for itself, in one pass. What a header can't be counts as ''.
 * Results: number of the expression, its value, how often.
 */
export function countQuery(table: string, expressions: readonly string[], pattern: string, limit: number): string {
  const names = expressions.map((_, index) => `h${String(index)}`);
  const values = expressions.map((expression, index) => `${expression} as h${String(index)}`);
  const sets = names.map((name) => `(${name})`).join(", ");
  const which = names.map((name, index) => `when grouping(${name}) = 0 then ${String(index)}`).join(" ");
  const grouped =
    `select case ${which} end as place, coalesce(${names.join(", ")}) as header, count(*) as found ` +
    `from (select ${values.join(", ")} from ${table}) valued group by grouping sets (${sets})`;
  const judged = `case when header is null or header collate "C" ~ '${pattern}' then header else '' end`;
  return `select place, ${judged}, sum(found) from (${grouped}) grouped group by 1, 2 limit ${String(limit)}`;
}

const segment = "[A-Za-z0-9][A-Za-z0-9._~-]*";

/** What `<key>:<label>` looks like, in the regular expressions of PostgreSQL. */
export const headerPattern = `^${segment}(/${segment}){0,3}:[1-9][0-9]{0,9}-[a-z2-7]{6}$`;

function textHeader(value: string): string {
  const header = `split_part(${value}, ':', 2) || ':' || split_part(${value}, ':', 3)`;
  const payload = `split_part(${value}, ':', 4)`;
  const before = String(ciphertextMagic.text.length + 1);
  return (
    `case when ${value} is null then null ` +
    `when not starts_with(${value}, '${ciphertextMagic.text}') then '' ` +
    `when octet_length(${header}) <= ${String(maxHeaderBytes)} ` +
    `and octet_length(${payload}) between ${characters(minPayloadBytes)} and ${characters(maxPayloadBytes)} ` +
    // No fourth colon.
    `and octet_length(${value}) = ${before} + octet_length(${header}) + octet_length(${payload}) ` +
    `and ${isBase64url(payload)} then ${header} else '' end`
  );
}

/** Bytes that are not ASCII are written with backslashes, which no header has. */
function binaryHeader(value: string): string {
  const head = `encode(substring(${value} from 1 for ${String(maxHeaderBytes)}), 'escape') collate "C"`;
  const header = `split_part(${head}, ':', 2) || ':' || split_part(${head}, ':', 3)`;
  /** Bytes before the payload. */
  const start = `(${String(ciphertextMagic.binary.length + 1)} + octet_length(${header}))`;
  const left = `octet_length(${value}) - ${start}`;
  const front = `substring(${value} from 1 for ${String(maxStreamHeadBytes)})`;
  const fileKey = `(get_byte(${front}, ${start}) * 256 + get_byte(${front}, ${start} + 1))`;
  return (
    `case when ${value} is null then null ` +
    `when substring(${value} from 1 for 5) not in ('${ciphertextMagic.binary}'::bytea, '${ciphertextMagic.stream}'::bytea) then '' ` +
    `when strpos(${head}, '\\') > 0 and strpos(${header}, '\\') > 0 then '' ` +
    `when ${left} < ${String(minPayloadBytes)} or ${start} > ${String(maxHeaderBytes)} then '' ` +
    `when get_byte(${front}, ${start} - 1) <> ${String(colon)} then '' ` +
    `when substring(${value} from 1 for 5) = '${ciphertextMagic.binary}'::bytea ` +
    `then case when ${left} <= ${String(maxPayloadBytes)} then ${header} else '' end ` +
    `when ${fileKey} between ${String(minSealedFileKeyBytes)} and ${String(maxSealedFileKeyBytes)} and ${left} >= 2 + ${fileKey} ` +
    `then ${header} else '' end`
  );
}
