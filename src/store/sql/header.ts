import type { StoreHeader } from "../store.ts";
import type { NewRecord, TableDefinitions, TableName } from "../tables.ts";
import { readIdentity } from "./manifest.ts";
import { toRecord } from "./record.ts";
import { parseRow, tamperedRow, type SqlRow } from "./row.ts";
import type { Sql } from "./sql-database.ts";
import { layoutOf } from "./table-layout.ts";

/** What it takes to open the store key. No MAC is checked: there is no key to check it with yet. */
export async function readHeader(sql: Sql, definitions: TableDefinitions): Promise<StoreHeader> {
  return {
    identity: await readIdentity(sql),
    keks: await readUnchecked(sql, definitions, "keks"),
    storeKeyWraps: await readUnchecked(sql, definitions, "wraps", ["subject", "store"]),
  };
}

async function readUnchecked<N extends TableName>(
  sql: Sql,
  definitions: TableDefinitions,
  name: N,
  where?: readonly [column: string, value: string],
): Promise<NewRecord<N>[]> {
  const layout = layoutOf(definitions[name]);
  let query = sql.selectFrom(layout.name).select(layout.sqlNames);
  if (where !== undefined) query = query.where(where[0], "=", where[1]);
  for (const column of layout.key) query = query.orderBy(column.sqlName);
  const rows: SqlRow[] = await query.execute();
  return rows.map((row) => {
    const parsed = parseRow(layout, row);
    if (typeof parsed === "string") throw tamperedRow(layout, row, parsed);
    return toRecord<N>(layout, parsed.values);
  });
}
