import { quoteIdentifier, quoteLiteral } from "../../postgres/identifier.ts";
import type { SourceLayout } from "../source.ts";
import { joinName, splitName } from "./dotted-name.ts";
import type { ColumnFacts, DocumentPath, TableFacts } from "./table-facts.ts";

/**
 * The table with a column for each value column of the layout that is a path into a document: the name of a column of type `json` or
 * `jsonb` and object keys, with dots between them. A column of exactly that name comes first.
 */
export function withDocumentPaths(layout: SourceLayout, table: TableFacts): TableFacts {
  const paths = layout.valueColumns.filter((name) => !hasColumn(table, name)).flatMap((name) => pathColumn(table, name) ?? []);
  return { ...table, columns: [...table.columns, ...paths] };
}

/** What is wrong with the paths of a layout. Undefined when nothing is. */
export function documentProblem(layout: SourceLayout, table: TableFacts): string | undefined {
  const others = [...layout.keyColumns, ...layout.contextColumns, ...layout.indexColumns];
  const misused = others.find((name) => !layout.valueColumns.includes(name) && !hasColumn(table, name) && isPath(table, name));
  if (misused !== undefined) {
    return `"${misused}" is inside a document, where only values can be protected: keys, contexts and index tokens need a column of their own`;
  }
  const misspelled = layout.valueColumns.find((name) => !hasColumn(table, name) && isPath(table, name));
  if (misspelled !== undefined) return `"${misspelled}" has another name here: write ${joinName(splitName(misspelled) ?? [])}`;
  const paths = table.columns.filter(({ document }) => document !== undefined);
  const whole = paths.find(({ document }) => others.includes(document?.column ?? ""));
  if (whole !== undefined) {
    return `"${whole.document?.column ?? ""}" holds "${whole.name}", and changes with it: name another column for what identifies the row`;
  }
  const outer = paths.find((column) => paths.some((inner) => inner !== column && isWithin(inner, column)));
  return outer === undefined ? undefined : `the layout names "${outer.name}" and something inside it: name one of them`;
}

/** SQL of a column's value, or of what is at its path as JSON: NULL where there is nothing. `prefix` stands before the column's name. */
export function columnSql({ name, document }: ColumnFacts, prefix = ""): string {
  if (document === undefined) return `${prefix}${quoteIdentifier(name)}`;
  const keys = document.keys.map((key) => ` -> ${quoteLiteral(key)}::pg_catalog.text`);
  return `(${readable(document, prefix)}${keys.join("")})`;
}

/** SQL of a column's text, or of the string at its path; other JSON there is what it is written as, which is no ciphertext. */
export function textSql(column: ColumnFacts): string {
  const value = columnSql(column);
  return `(${column.document === undefined ? `${value}::pg_catalog.text` : `${value} #>> '{}'`}) collate "C"`;
}

/** True for a column of type `json` or `jsonb`, or of a domain over one. */
export function isDocument({ baseType }: ColumnFacts): boolean {
  return baseType.schema === "pg_catalog" && (baseType.name === "json" || baseType.name === "jsonb");
}

/** Name of the table's own column that a column is, or is in. */
export function ownColumn({ name, document }: ColumnFacts): string {
  return document?.column ?? name;
}

/**
 * SQL that writes columns of the row `t`, those of one document together. What an application changes elsewhere in the document
 * meanwhile stays, because it is the document of the moment that is written.
 */
export function assignments(columns: readonly { readonly column: ColumnFacts; readonly value: string }[]): string {
  const documents = new Map<string, string>();
  for (const { column, value } of columns) {
    const { document } = column;
    const name = quoteIdentifier(ownColumn(column));
    if (document === undefined) documents.set(name, value);
    else {
      const into = documents.get(name) ?? `t.${name}::pg_catalog.jsonb`;
      const path = `array[${document.keys.map((key) => quoteLiteral(key)).join(", ")}]::pg_catalog.text[]`;
      documents.set(name, `jsonb_set(${into}, ${path}, ${jsonOf(value)}, false)`);
    }
  }
  const isJson = new Set(
    columns.flatMap(({ column: { document } }) => (document?.type === "json" ? quoteIdentifier(document.column) : [])),
  );
  return [...documents]
    .map(([name, value]) => {
      if (!isJson.has(name)) return `${name} = ${value}`;
      return `${name} = case when ${repeatsKeys(`t.${name}`)} then t.${name}::pg_catalog.json else (${value})::pg_catalog.json end`;
    })
    .join(", ");
}

/** SQL that is true for rows `t` whose documents of type `json` would lose something when they are written. */
export function losesKeys(columns: readonly ColumnFacts[]): string {
  const documents = new Set(columns.flatMap(({ document }) => (document?.type === "json" ? document.column : [])));
  return documents.size === 0 ? "false" : [...documents].map((name) => repeatsKeys(`t.${quoteIdentifier(name)}`)).join(" or ");
}

/** Escapes that `json` stores and that no text has: U+0000, and halves of surrogate pairs. An escaped backslash begins none. */
const wrongEscape = [
  String.raw`(?<!\\)((?:\\\\)*)(?:\\u0000`,
  String.raw`\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])`,
  String.raw`(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..)`,
].join("|");

/** SQL of the document. One of type `json` that nothing could be read from has its wrong escapes left out; it is not written so. */
function readable({ column, type }: DocumentPath, prefix: string): string {
  const document = `${prefix}${quoteIdentifier(column)}`;
  if (type === "jsonb") return `${document}::pg_catalog.jsonb`;
  const text = `${document}::pg_catalog.text`;
  const wrong = quoteLiteral(wrongEscape);
  return (
    `case when strpos(${text}, ${quoteLiteral("\\u")}) > 0 and ${text} ~ ${wrong} ` +
    `then regexp_replace(${text}, ${wrong}, ${quoteLiteral(String.raw`\1\\ufffd`)}, 'g')::pg_catalog.json else ${document}::pg_catalog.json end`
  );
}

/** SQL of the JSON value that the identity of a cell stands for. */
function jsonOf(identity: string): string {
  const string = `to_jsonb(substr(${identity}, 2))`;
  return `coalesce(case when starts_with(${identity}, '"') then ${string} else ${identity}::pg_catalog.jsonb end, 'null')`;
}

/** SQL that is true for `json` in which an object has a key twice: `jsonb` has room for one of them. */
function repeatsKeys(document: string): string {
  const pairs = "json_each(case json_typeof(node) when 'object' then node end)";
  const items = "json_array_elements(case json_typeof(node) when 'array' then node end)";
  return (
    `(with recursive nodes(node) as (select ${document}::pg_catalog.json union all select inner_node from nodes, ` +
    `lateral (select value as inner_node from ${pairs} union all select value from ${items}) inside) ` +
    `select coalesce(bool_or((select count(*) > count(distinct key collate "C") from ${pairs})), false) from nodes)`
  );
}

function hasColumn({ columns }: TableFacts, name: string): boolean {
  return columns.some((column) => column.name === name);
}

function isPath(table: TableFacts, name: string): boolean {
  return documentOf(table, splitName(name) ?? []) !== undefined;
}

function pathColumn(table: TableFacts, name: string): ColumnFacts | undefined {
  const parts = splitName(name) ?? [];
  const found = joinName(parts) === name ? documentOf(table, parts) : undefined;
  if (found === undefined) return undefined;
  const { column, document } = found;
  return { ...column, name, notNull: false, document };
}

function documentOf(
  table: TableFacts,
  [first, ...keys]: readonly string[],
): { readonly column: ColumnFacts; readonly document: DocumentPath } | undefined {
  const column = table.columns.find(({ name, document }) => name === first && document === undefined);
  if (column === undefined || !isDocument(column) || keys.length === 0) return undefined;
  return { column, document: { column: column.name, type: column.baseType.name === "json" ? "json" : "jsonb", keys } };
}

function isWithin({ document: inner }: ColumnFacts, { document: outer }: ColumnFacts): boolean {
  return inner !== undefined && inner.column === outer?.column && outer.keys.every((key, place) => inner.keys[place] === key);
}
