import { sql as expression, type CreateTableBuilder, type RawBuilder } from "kysely";
import type { Sql, SqlDatabase } from "../sql-database.ts";

type WrittenColumnType = "text" | "text?" | "integer" | "integer?" | "bytes" | "bytes?";

/** A table as a step makes it: written out there, so that it stays as it is when `tables.ts` grows. */
export interface WrittenTable {
  readonly name: string;
  /** Rows carry `row_format` and `row_mac`. */
  readonly guarded: boolean;
  readonly columns: Readonly<Record<string, WrittenColumnType>>;
  readonly key: readonly string[];
  readonly unique?: readonly string[];
  /** Conditions by name. */
  readonly checks?: Readonly<Record<string, string>>;
}

/** Makes a table, with the columns and checks that all tables have. */
export async function createTable(sql: Sql, database: SqlDatabase, table: WrittenTable): Promise<void> {
  const columns = Object.entries({ ...table.columns, ...rowColumns(table) });
  const checks = Object.entries({ ...table.checks, ...rowChecks(table) });
  let creation: CreateTableBuilder<string, string> = sql.schema.createTable(table.name);
  for (const [name, type] of columns) {
    creation = creation.addColumn(name, columnType(database, type), (column) => (type.endsWith("?") ? column : column.notNull()));
  }
  creation = creation.addPrimaryKeyConstraint(`${table.name}_key`, [...table.key]);
  for (const name of table.unique ?? []) creation = creation.addUniqueConstraint(`${table.name}_${name}`, [name]);
  for (const [name, check] of checks) creation = creation.addCheckConstraint(`${table.name}_check_${name}`, expression.raw(check));
  await creation.modifyEnd(expression.raw(database.tableOptions)).execute();
}

function rowColumns(table: WrittenTable): Readonly<Record<string, WrittenColumnType>> {
  return table.guarded ? { row_version: "integer", row_format: "integer", row_mac: "bytes" } : { row_version: "integer" };
}

function rowChecks(table: WrittenTable): Readonly<Record<string, string>> {
  const version = { row_version: "row_version >= 1" };
  return table.guarded ? { ...version, row_format: "row_format >= 1", row_mac: "length(row_mac) = 32" } : version;
}

function columnType(database: SqlDatabase, type: WrittenColumnType): RawBuilder<unknown> {
  const [name] = type.split("?");
  return expression.raw(name === "text" || name === "integer" || name === "bytes" ? database.columnTypes[name] : type);
}
