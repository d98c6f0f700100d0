import type { StoreTables, Table } from "../store.ts";
import { type TableDefinition, type TableDefinitions, type TableName, tables } from "../tables.ts";
import { SqlTable } from "./sql-table.ts";
import { layoutOf, type TableLayout } from "./table-layout.ts";
import type { TransactionScope } from "./transaction-scope.ts";

type SomeTables = { [N in TableName]?: Table<N> };

const tableNames = Object.keys(tables).filter((name): name is TableName => name in tables);

/** Layouts of the tables that a guard protects: what the store verifies. */
export function guardedLayouts(definitions: TableDefinitions = tables): readonly TableLayout[] {
  return tableNames.map((name) => layoutOf(definitions[name])).filter(({ guard }) => guard !== "none");
}

/** Every table of the store, inside one transaction. */
export function openTables(scope: TransactionScope, definitions: TableDefinitions): StoreTables {
  const opened: SomeTables = {};
  for (const name of tableNames) open(opened, name, definitions[name], scope);
  if (!hasAll(opened)) throw new TypeError("a table is missing");
  return opened;
}

function open<N extends TableName>(opened: { [K in N]?: Table<N> }, name: N, definition: TableDefinition, scope: TransactionScope): void {
  opened[name] = new SqlTable<N>(definition, scope);
}

function hasAll(opened: SomeTables): opened is StoreTables {
  return tableNames.every((name) => name in opened);
}
