import { ciphertextMagic, maxHeaderBytes, minPayloadBytes } from "../../crypto/ciphertext.ts";
import { maxPayloadBytes, maxSealedFileKeyBytes } from "../../crypto/limits.ts";
import { maxStreamHeadBytes, minSealedFileKeyBytes } from "../../crypto/stream-header.ts";
import { isBase64url } from "./base64url-check.ts";
import { kindOf } from "./column-kind.ts";
import { columnSql, textSql } from "./document-path.ts";
import type { ColumnFacts } from "./table-facts.ts";

const colon = 0x3a;
const characters = (bytes: number): string => String(Math.ceil((bytes * 4) / 3));

/** How the values of a column are counted: in groups. */
export interface CountedColumn {
  /** SQL of what is worked out once for each value. */
  readonly parts: readonly string[];
  /** SQL of the group, from the names of the parts: '' for what is none, NULL for NULL. */
  readonly group: (...parts: string[]) => string;
}

/**
 * Groups by `<key>:<label>` what parses as ciphertext if that is a header. It begins with what is cheap and excludes most.
 */
export function countedHeader(column: ColumnFacts): CountedColumn {
  return kindOf(column).form === "binary" ? binaryHeader(columnSql(column)) : textHeader(textSql(column));
}

/** SQL of the group of a value, each part written wherever it is named: an expression that an index can be over. */
export function groupExpression({ parts, group }: CountedColumn): string {
  return `(${group(...parts.map((part) => `(${part})`))})`;
}

/**
 * Counts the groups of columns of a table, each for itself, in one pass. What does not fit the pattern counts as ''.
 * Results: number of the column, group, how often.
 */
export function countQuery(table: string, columns: readonly CountedColumn[], pattern: string, limit: number): string {
  const partNames = columns.map(({ parts }, column) => parts.map((_, part) => `p${String(column)}_${String(part)}`));
  const parts = columns.flatMap((column, index) => column.parts.map((part, place) => `${part} as ${partNames[index]?.[place] ?? ""}`));
  const names = columns.map((_, index) => `h${String(index)}`);
  const groups = columns.map(({ group }, index) => `${group(...(partNames[index] ?? []))} as h${String(index)}`);
  const sets = names.map((name) => `(${name})`).join(", ");
  const which = names.map((name, index) => `when grouping(${name}) = 0 then ${String(index)}`).join(" ");
  // Without OFFSET the parts would be worked out wherever they are named.
  const valued = `select ${groups.join(", ")} from (select ${parts.join(", ")} from ${table} offset 0) taken`;
  const grouped =
    `select case ${which} end as place, coalesce(${names.join(", ")}) as header, count(*) as found ` +
    `from (${valued}) valued group by grouping sets (${sets})`;
  const judged = `case when header is null or header collate "C" ~ '${pattern}' then header else '' end`;
  return `select place, ${judged}, sum(found) from (${grouped}) grouped group by 1, 2 limit ${String(limit)}`;
}

const segment = "[A-Za-z0-9][A-Za-z0-9._~-]*";

/** What `<key>:<label>` looks like, in the regular expressions of PostgreSQL. */
export const headerPattern = `^${segment}(/${segment}){0,3}:[1-9][0-9]{0,9}-[a-z2-7]{6}$`;

function textHeader(value: string): CountedColumn {
  const before = String(ciphertextMagic.text.length + 2);
  return {
    parts: [value, ...["2", "3", "4"].map((place) => `split_part(${value}, ':', ${place})`)],
    group: (whole = "", key = "", label = "", payload = "") =>
      `case when ${whole} is null then null when not starts_with(${whole}, '${ciphertextMagic.text}') then '' ` +
      `when octet_length(${key}) + octet_length(${label}) <= ${String(maxHeaderBytes)} ` +
      `and octet_length(${payload}) between ${characters(minPayloadBytes)} and ${characters(maxPayloadBytes)} ` +
      // No fourth colon.
      `and octet_length(${whole}) = ${before} + octet_length(${key}) + octet_length(${label}) + octet_length(${payload}) ` +
      `and ${isBase64url(payload)} then ${key} || ':' || ${label} else '' end`,
  };
}

/** Bytes that are not ASCII are written with backslashes, which no header has. */
function binaryHeader(value: string): CountedColumn {
  const { binary, stream } = ciphertextMagic;
  const head = `encode(substring(${value} from 1 for ${String(maxHeaderBytes)}), 'escape') collate "C"`;
  const front = `substring(${value} from 1 for ${String(maxStreamHeadBytes)})`;
  return {
    parts: [front, `octet_length(${value})`, `split_part(${head}, ':', 2)`, `split_part(${head}, ':', 3)`],
    group: (begins = "", size = "", key = "", label = "") => {
      /** Bytes before the payload. */
      const start = `(${String(binary.length + 2)} + octet_length(${key}) + octet_length(${label}))`;
      const fileKey = `(get_byte(${begins}, ${start}) * 256 + get_byte(${begins}, ${start} + 1))`;
      return (
        `case when ${begins} is null then null ` +
        `when substring(${begins} from 1 for 5) not in ('${binary}'::bytea, '${stream}'::bytea) then '' ` +
        `when strpos(${key}, '\\') > 0 or strpos(${label}, '\\') > 0 then '' ` +
        `when ${size} - ${start} < ${String(minPayloadBytes)} or ${start} > ${String(maxHeaderBytes)} then '' ` +
        `when get_byte(${begins}, ${start} - 1) <> ${String(colon)} then '' ` +
        `when substring(${begins} from 1 for 5) = '${binary}'::bytea ` +
        `then case when ${size} - ${start} <= ${String(maxPayloadBytes)} then ${key} || ':' || ${label} else '' end ` +
        `when ${fileKey} between ${String(minSealedFileKeyBytes)} and ${String(maxSealedFileKeyBytes)} and ${size} - ${start} >= 2 + ${fileKey} ` +
        `then ${key} || ':' || ${label} else '' end`
      );
    },
  };
}
