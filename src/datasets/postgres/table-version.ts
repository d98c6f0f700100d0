/**
 * SQL of a text that is another one after every change of the table's columns, indexes, triggers and policies; NULL without such a
 * table. Schema and table are SQL texts.
 */
export function tableVersion(schema: string, table: string): string {
  return (
    `select concat_ws(' ', c.oid, c.xmin, ` +
    `(select string_agg(concat(a.attnum, ':', a.xmin), ',' order by a.attnum) from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0), ` +
    `(select string_agg(concat(i.indexrelid, ':', i.xmin), ',' order by i.indexrelid) from pg_catalog.pg_index i where i.indrelid = c.oid), ` +
    `(select string_agg(concat(t.oid, ':', t.xmin), ',' order by t.oid) from pg_catalog.pg_trigger t where t.tgrelid = c.oid)) ` +
    `from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${table}`
  );
}
