import { CompiledQuery } from "kysely";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import type { Sql } from "../sql/sql-database.ts";
import { rowFormatColumn, rowMacColumn, rowVersionColumn, type TableLayout } from "../sql/table-layout.ts";
import type { TamperFinding } from "../store.ts";
import { writersTable } from "./commit-marks.ts";

/** The table of the schema number. */
export const schemaTable = "keystead_schema";

interface RelationFacts {
  readonly name: string;
  readonly kind: string;
  readonly persistence: string;
  readonly hasRowSecurity: boolean;
  readonly hasRules: boolean;
  readonly hasChildren: boolean;
  readonly triggers: readonly string[];
}

interface ColumnFacts {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly collation: string | null;
  readonly isComputed: boolean;
}

interface IndexFacts {
  readonly table: string;
  readonly name: string;
  readonly isUnique: boolean;
  readonly isWhole: boolean;
  readonly columns: readonly string[];
}

const kinds: Readonly<Record<string, string>> = {
  r: "table",
  p: "partitioned table",
  v: "view",
  m: "materialised view",
  f: "foreign table",
  S: "sequence",
  c: "type",
};
const typeNames: Readonly<Record<string, string>> = { text: "text", integer: "bigint", bytes: "bytea" };

const relationQuery = `select c.relname as name, c.relkind::text as kind, c.relpersistence::text as persistence,
    c.relrowsecurity or c.relforcerowsecurity as "hasRowSecurity",
    exists (select from pg_rewrite w where w.ev_class = c.oid) and c.relkind = 'r' as "hasRules",
    exists (select from pg_inherits i where i.inhparent = c.oid or i.inhrelid = c.oid) as "hasChildren",
    array(select t.tgname::text from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal order by 1) as triggers
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind not in ('i', 'I', 't') order by 1`;

const columnQuery = `select c.relname as "table", a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as "notNull",
    l.collname as collation, a.attgenerated <> '' or a.attidentity <> '' as "isComputed"
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    left join pg_collation l on l.oid = a.attcollation
  where n.nspname = $1 and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped order by 1, a.attnum`;

const indexQuery = `select c.relname as "table", i.relname as name, x.indisunique as "isUnique",
    x.indisvalid and x.indisready and x.indislive and x.indimmediate and x.indpred is null and x.indexprs is null as "isWhole",
    array(select a.attname::text from unnest(x.indkey::smallint[]) with ordinality k(number, place)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number where k.place <= x.indnkeyatts order by k.place) as columns
  from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
    join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r' order by 1, 2`;

/**
 * What in a schema is not as this version makes it: by that a query could miss rows, or a write do something else. An index that
 * somebody added is no finding, unless it refuses rows.
 */
export async function inspectStructure(sql: Sql, schema: string, tables: readonly TableLayout[]): Promise<TamperFinding[]> {
  const query = async <R>(text: string): Promise<readonly R[]> => (await sql.executeQuery<R>(CompiledQuery.raw(text, [schema]))).rows;
  const relations = await query<RelationFacts>(relationQuery);
  const columns = await query<ColumnFacts>(columnQuery);
  const indexes = await query<IndexFacts>(indexQuery);
  const known = new Set([schemaTable, writersTable, ...tables.map(({ name }) => name)]);
  const findings: TamperFinding[] = [];
  for (const { name, kind } of relations)
    if (!known.has(name)) findings.push({ table: name, problem: `Keystead did not make the ${kinds[kind] ?? "relation"} ${name}` });
  for (const name of known) {
    const relation = relations.find((candidate) => candidate.name === name);
    for (const problem of relation === undefined ? [`the table ${name} is missing`] : relationProblems(relation))
      findings.push({ table: name, problem });
  }
  for (const table of tables) {
    if (!relations.some(({ name, kind }) => name === table.name && kind === "r")) continue;
    const own = <F extends { readonly table: string }>(facts: readonly F[]): F[] => facts.filter((fact) => fact.table === table.name);
    for (const problem of [...columnProblems(table, own(columns)), ...indexProblems(table, own(indexes))])
      findings.push({ table: table.name, problem });
  }
  return [...findings, ...(await indexesThatMissRows(sql, schema, tables, findings))];
}

function relationProblems({ name, kind, persistence, triggers, ...facts }: RelationFacts): string[] {
  if (kind !== "r") return [`${name} is a ${kinds[kind] ?? "relation"} in place of a table`];
  return [
    ...(persistence === "p" ? [] : [`the table ${name} is not kept through a crash (it is unlogged)`]),
    ...(facts.hasRowSecurity ? [`row-level security is on for the table ${name}`] : []),
    ...(facts.hasRules ? [`the table ${name} has rules`] : []),
    ...(facts.hasChildren ? [`other tables inherit from the table ${name}, or it from them`] : []),
    ...triggers.map((trigger) => `Keystead did not make the trigger ${trigger}`),
  ];
}

function columnProblems(table: TableLayout, found: readonly ColumnFacts[]): string[] {
  const guard = table.guard === "none" ? [] : [rowFormatColumn, rowMacColumn];
  const wanted = new Map([
    ...table.columns.map(({ sqlName, kind, nullable }) => [sqlName, { type: kind.name, nullable }] as const),
    ...[rowVersionColumn, ...guard].map((name) => [name, { type: name === rowMacColumn ? "bytes" : "integer", nullable: false }] as const),
  ]);
  const problems = found.filter(({ name }) => !wanted.has(name)).map(({ name }) => `Keystead did not make the column ${name}`);
  for (const [name, { type, nullable }] of wanted) {
    const column = found.find((candidate) => candidate.name === name);
    if (column === undefined) problems.push(`the column ${name} is missing`);
    else if (
      column.type !== typeNames[type] ||
      column.notNull === nullable ||
      column.isComputed ||
      (type === "text" && column.collation !== "C")
    )
      problems.push(`the column ${name} is not as Keystead makes it`);
  }
  return problems;
}

function indexProblems(table: TableLayout, found: readonly IndexFacts[]): string[] {
  const wanted = [table.key, ...table.unique].map((columns) => columns.map(({ sqlName }) => sqlName).join());
  const unique = found.filter(({ isUnique, isWhole }) => isUnique && isWhole).map(({ columns }) => columns.join());
  return [
    ...wanted.filter((columns) => !unique.includes(columns)).map((columns) => `nothing keeps its ${columns} unique`),
    ...found
      .filter(({ isUnique, columns }) => isUnique && !wanted.includes(columns.join()))
      .map(({ name }) => `Keystead did not make the unique index ${name}`),
  ];
}

/** Compares what a scan of each table finds with what its indexes find. */
async function indexesThatMissRows(
  sql: Sql,
  schema: string,
  tables: readonly TableLayout[],
  findings: readonly TamperFinding[],
): Promise<TamperFinding[]> {
  const sound = tables.filter(({ name, guard }) => guard !== "none" && !findings.some(({ table }) => table === name));
  const missing: TamperFinding[] = [];
  for (const table of sound) {
    const from = `${quoteIdentifier(schema)}.${quoteIdentifier(table.name)}`;
    const counts: bigint[] = [];
    for (const [scan, index] of [
      ["on", "off"],
      ["off", "on"],
    ] as const) {
      const settings = [
        `set_config('enable_seqscan', '${scan}', true)`,
        ...["enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"].map((name) => `set_config('${name}', '${index}', true)`),
      ];
      await sql.executeQuery(CompiledQuery.raw(`select ${settings.join(", ")}`));
      const key = table.key.map(({ sqlName }) => quoteIdentifier(sqlName)).join(", ");
      const { rows } = await sql.executeQuery<{ rows: bigint }>(
        CompiledQuery.raw(`select count(*) as rows from (select ${key} from ${from} order by ${key}) as ordered`),
      );
      counts.push(rows[0]?.rows ?? 0n);
    }
    if (counts[0] !== counts[1]) missing.push({ table: table.name, problem: "its index does not find every row (run REINDEX)" });
  }
  const all = ["enable_seqscan", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"];
  await sql.executeQuery(CompiledQuery.raw(`select ${all.map((name) => `set_config('${name}', 'on', true)`).join(", ")}`));
  return missing;
}
