import type { CompiledQuery } from "kysely";
import type { Sql, SqlValue } from "./sql-database.ts";
import type { TableLayout } from "./table-layout.ts";

/** Rows of one statement, at most: a power of two. More make it no faster. */
const mostRows = 64;

type Row = Readonly<Record<string, SqlValue>>;

/** The compiled statements of each database, by table and number of rows: compiling costs more than inserting. */
const compiled = new WeakMap<object, Map<string, CompiledQuery>>();

/** Splits rows into statements of few different sizes, so that few are prepared: where each begins, and its rows. */
export function* statementSizes(rows: number): Generator<readonly [from: number, count: number]> {
  let from = 0;
  for (let count = mostRows; count >= 1; count /= 2) {
    for (; rows - from >= count; from += count) yield [from, count];
  }
}

/** The statement that inserts some rows, and passes over those that are there. */
export function insertion(sql: Sql, table: TableLayout, rows: readonly { readonly columns: Row }[]): CompiledQuery {
  const { adapter } = sql.getExecutor();
  const statements = compiled.get(adapter) ?? new Map<string, CompiledQuery>();
  compiled.set(adapter, statements);
  const name = `${table.name} ${String(rows.length)}`;
  const statement = statements.get(name) ?? compile(sql, table, rows);
  statements.set(name, statement);
  return { ...statement, parameters: rows.flatMap(({ columns }) => Object.values(columns)) };
}

function compile(sql: Sql, table: TableLayout, rows: readonly { readonly columns: Row }[]): CompiledQuery {
  const values = rows.map(({ columns }) => columns);
  return sql
    .insertInto(table.name)
    .values(values)
    .onConflict((conflict) => conflict.doNothing())
    .compile();
}
