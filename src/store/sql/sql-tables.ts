import type { StoreTables, Table } from "../store.ts";
import { tables, type TableName } from "../tables.ts";
import { SqlTable } from "./sql-table.ts";
import { layoutOf, type TableLayout } from "./table-layout.ts";
import type { TransactionScope } from "./transaction-scope.ts";

type SomeTables = { [N in TableName]?: Table<N> };

const tableNames = Object.keys(tables).filter((name): name is TableName => name in tables);

/** Layouts of the tables that a guard protects: what the store verifies. */
export const guardedLayouts: readonly TableLayout[] = tableNames
  .map((name) => layoutOf(tables[name]))
  .filter(({ guard }) => guard !== "none");

/** Every table of the store, inside one transaction. */
export function openTables(scope: TransactionScope): StoreTables {
  const opened: SomeTables = {};
  for (const name of tableNames) open(opened, name, scope);
  if (!hasAll(opened)) throw new TypeError("a table is missing");
  return opened;
}

function open<N extends TableName>(opened: { [K in N]?: Table<N> }, name: N, scope: TransactionScope): void {
  opened[name] = new SqlTable(name, scope);
}

function hasAll(opened: SomeTables): opened is StoreTables {
  return tableNames.every((name) => name in opened);
}
