import { z } from "zod";
import type { Session } from "./postgres-connection.ts";
import { formatTableName, type TableName } from "./table-name.ts";

const nameSchema = z.object({ schema: z.string(), name: z.string() });

const termSchema = z.object({
  /** Undefined for an expression. */
  name: z.string().nullable(),
  /** Null for what has none, as a number. */
  collation: nameSchema.nullable(),
  /** Of the operator class: how the index sorts. Null for an index that doesn't. */
  operators: z.object({ less: nameSchema, equal: nameSchema, greater: nameSchema }).nullable(),
});

const indexSchema = z.object({
  name: z.string(),
  primary: z.boolean(),
  unique: z.boolean(),
  /** Usable, and with every row in it. */
  whole: z.boolean(),
  terms: z.array(termSchema),
});

const columnSchema = z.object({
  name: z.string(),
  /** As PostgreSQL writes it, for people. */
  declaredType: z.string(),
  /** That of the domain, for a domain. */
  baseType: nameSchema,
  /** Characters that `varchar(n)` and `char(n)` take. */
  maxLength: z.number().nullable(),
  isEnum: z.boolean(),
  notNull: z.boolean(),
  generated: z.boolean(),
});

const factsSchema = z.object({
  /** `pg_class.relkind`. */
  kind: z.string(),
  /** `pg_class.relpersistence`. */
  persistence: z.string(),
  encoding: z.string(),
  /** Row-level security applies to this user. */
  rowSecurity: z.boolean(),
  /** The table that this one is a partition of. */
  partitionOf: nameSchema.nullable(),
  rules: z.array(z.string()),
  /** Tables that inherit from an ordinary one. */
  heirs: z.array(z.string()),
  foreignPartitions: z.array(z.string()),
  partitionColumns: z.array(z.string()),
  /** Columns that refer to another table. */
  referringColumns: z.array(z.string()),
  triggers: z.array(z.string()),
  columns: z.array(columnSchema),
  indexes: z.array(indexSchema),
});

/** A name with its schema. */
export type QualifiedName = z.infer<typeof nameSchema>;
/** One column of an index, or an expression. */
export type IndexTerm = z.infer<typeof termSchema>;
/** An index of a table. */
export type IndexFacts = z.infer<typeof indexSchema>;
/** A column as its table declares it, or a place in the documents of one. */
export type ColumnFacts = z.infer<typeof columnSchema> & { readonly document?: DocumentPath };
/** What PostgreSQL says about a table. */
export type TableFacts = Omit<z.infer<typeof factsSchema>, "columns"> & { readonly columns: readonly ColumnFacts[] };

/** Where a value is in a JSON document. */
export interface DocumentPath {
  /** Column that holds the document. */
  readonly column: string;
  readonly type: "json" | "jsonb";
  /** Object keys, from the outermost on. */
  readonly keys: readonly string[];
}

/** Looks the table up; undefined when there is none. */
export async function readTableFacts(session: Session, { schema, table }: TableName): Promise<TableFacts | undefined> {
  const [row] = await session.rows(factsQuery, [schema, table]);
  return row === undefined ? undefined : factsSchema.parse(JSON.parse(row[0] ?? "null"));
}

/** Names of the tables that there are, PostgreSQL's own left out. */
export async function readTableNames(session: Session): Promise<string[]> {
  const rows = await session.rows(
    "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace " +
      "where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema$)' order by 1, 2 limit 1000",
  );
  return rows.map(([schema, name]) => formatTableName({ schema: schema ?? "", table: name ?? "" }));
}

const names = (query: string): string => `coalesce((select json_agg(found.name order by found.name) from (${query}) found), '[]')`;
const operator = (strategy: number): string =>
  `(select json_build_object('schema', s.nspname, 'name', o.oprname) from pg_amop p join pg_operator o on o.oid = p.amopopr ` +
  `join pg_namespace s on s.oid = o.oprnamespace where p.amopfamily = k.opcfamily and p.amopstrategy = ${String(strategy)} ` +
  `and p.amoplefttype = k.opcintype and p.amoprighttype = k.opcintype)`;

/** The table and, for a partitioned one, everything below it. */
const tree = "(select relid from pg_partition_tree(c.oid) union select c.oid)";

const columnsQuery = `
  select a.attnum, a.attname as name, format_type(a.atttypid, a.atttypmod) as "declaredType",
    json_build_object('schema', base.nspname, 'name', base.typname) as "baseType",
    case when base.typname in ('varchar', 'bpchar') and base.typmod > 4 then base.typmod - 4 end as "maxLength",
    base.typtype = 'e' as "isEnum", a.attnotnull or base.notnull as "notNull", a.attgenerated <> '' as generated
  from pg_attribute a cross join lateral (
    with recursive chain(oid, typmod, "notnull", depth) as (
      select a.atttypid, a.atttypmod, false, 0
      union all
      select t.typbasetype, case when chain.typmod = -1 then t.typtypmod else chain.typmod end, chain."notnull" or t.typnotnull, depth + 1
      from chain join pg_type t on t.oid = chain.oid where t.typtype = 'd')
    select b.typname, b.typtype, s.nspname, chain.typmod, chain."notnull"
    from chain join pg_type b on b.oid = chain.oid join pg_namespace s on s.oid = b.typnamespace order by depth desc limit 1) base
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`;

const termsQuery = `
  select json_agg(json_build_object(
    'name', k.attname,
    'collation', (select json_build_object('schema', s.nspname, 'name', l.collname)
      from pg_collation l join pg_namespace s on s.oid = l.collnamespace where l.oid = k.collated),
    'operators', case when am.amname = 'btree' then
      json_build_object('less', ${operator(1)}, 'equal', ${operator(3)}, 'greater', ${operator(5)}) end) order by k.place)
  from (select e.place, e.collated, a.attname, oc.opcfamily, oc.opcintype
    from unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) with ordinality as e(attnum, opclass, collated, place)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = e.attnum and e.attnum <> 0
    join pg_opclass oc on oc.oid = e.opclass where e.place <= i.indnkeyatts) k`;

const indexesQuery = `
  select ic.relname as name, i.indisprimary as primary, i.indisunique as unique,
    i.indisvalid and i.indislive and i.indpred is null as whole, (${termsQuery}) as terms
  from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam where i.indrelid = c.oid`;

const factsQuery = `
  select json_build_object(
    'kind', c.relkind, 'persistence', c.relpersistence, 'encoding', current_setting('server_encoding'),
    'rowSecurity', row_security_active(c.oid),
    'partitionOf', (select json_build_object('schema', s.nspname, 'name', p.relname) from pg_inherits h join pg_class p on p.oid = h.inhparent
      join pg_namespace s on s.oid = p.relnamespace where h.inhrelid = c.oid and c.relispartition),
    'rules', ${names("select r.rulename as name from pg_rewrite r where r.ev_class = c.oid")},
    'heirs', ${names("select h.relname as name from pg_inherits i join pg_class h on h.oid = i.inhrelid where i.inhparent = c.oid and c.relkind = 'r'")},
    'foreignPartitions', ${names(`select f.relname as name from pg_class f where f.relkind = 'f' and f.oid in ${tree}`)},
    'partitionColumns', ${names(
      `select distinct a.attname as name from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any(p.partattrs::int2[]) and a.attnum > 0 where p.partrelid in ${tree}`,
    )},
    'referringColumns', ${names(
      "select distinct a.attname as name from pg_constraint f join pg_attribute a on a.attrelid = c.oid and a.attnum = any(f.conkey) where f.conrelid = c.oid and f.contype = 'f'",
    )},
    'triggers', ${names(
      `select distinct t.tgname as name from pg_trigger t where not t.tgisinternal and t.tgenabled <> 'D' and t.tgrelid in ${tree}`,
    )},
    'columns', coalesce((select json_agg(found order by found.attnum) from (${columnsQuery}) found), '[]'),
    'indexes', coalesce((select json_agg(found order by found.primary desc, found.name) from (${indexesQuery}) found), '[]'))::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`;
