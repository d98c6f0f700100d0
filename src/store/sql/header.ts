import type { StoreHeader } from "../store.ts";
import { tables, type NewRecord, type TableName } from "../tables.ts";
import { readIdentity } from "./manifest.ts";
import { toRecord } from "./record.ts";
import { parseRow, tamperedRow, type SqlRow } from "./row.ts";
import type { Sql } from "./sql-database.ts";
import { layoutOf } from "./table-layout.ts";

/** What it takes to open the store key. No MAC is checked: there is no key to check it with yet. */
export async function readHeader(sql: Sql): Promise<StoreHeader> {
  return {
    identity: await readIdentity(sql),
    keks: await readUnchecked(sql, "keks"),
    storeKeyWraps: await readUnchecked(sql, "wraps", ["subject", "store"]),
  };
}

async function readUnchecked<N extends TableName>(
  sql: Sql,
  name: N,
  where?: readonly [column: string, value: string],
): Promise<NewRecord<N>[]> {
  const layout = layoutOf(tables[name]);
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
