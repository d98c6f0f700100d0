import type { Affinity } from "./affinity.ts";
import { affinityOf } from "./affinity.ts";
import type { ResultRow, SqliteConnection } from "./sqlite-connection.ts";

/** A column as its table declares it. */
export interface ColumnFacts {
  readonly name: string;
  readonly declaredType: string;
  readonly affinity: Affinity;
  readonly notNull: boolean;
  readonly generated: boolean;
}

/** One column of an index, in the order in which the index sorts. `name` is undefined for an expression and for the rowid. */
export interface IndexTerm {
  readonly name: string | undefined;
  readonly collation: string;
  readonly descending: boolean;
}

/** An index of a table. */
export interface IndexFacts {
  readonly name: string;
  readonly unique: boolean;
  readonly partial: boolean;
  /** `pk` = of the PRIMARY KEY, `u` = of a UNIQUE constraint, `c` = of CREATE INDEX. */
  readonly origin: string;
  readonly terms: readonly IndexTerm[];
}

/** What SQLite says about a table. */
export interface TableFacts {
  readonly name: string;
  /** `table`, `view`, `virtual` or `shadow`. */
  readonly type: string;
  readonly withoutRowid: boolean;
  readonly strict: boolean;
  readonly sql: string;
  readonly columns: readonly ColumnFacts[];
  readonly indexes: readonly IndexFacts[];
  /** The column that is another name of the rowid: a single INTEGER PRIMARY KEY. */
  readonly rowidColumn: string | undefined;
  /** Columns that refer to another table. */
  readonly referringColumns: readonly string[];
  readonly triggers: readonly string[];
}

/** Everything that one look at the schema found. */
export interface SchemaFacts {
  readonly version: bigint;
  readonly encoding: string;
  /** Collations that exist without the application's code. */
  readonly collations: readonly string[];
  /** `undefined` when there is no such table. */
  readonly table: TableFacts | undefined;
  /** Names of the tables that there are, SQLite's own left out. */
  readonly tables: readonly string[];
}

/** The number that SQLite raises with every change of the schema, and with VACUUM. */
export function schemaVersion(connection: SqliteConnection): bigint {
  const value = connection.first("PRAGMA main.schema_version")?.[0];
  return typeof value === "bigint" ? value : 0n;
}

/** Looks the table up, in one consistent state of the schema. */
export function readSchema(connection: SqliteConnection, table: string): SchemaFacts {
  return connection.transaction("DEFERRED", () => ({
    version: schemaVersion(connection),
    encoding: text(connection.first("PRAGMA main.encoding")?.[0]),
    collations: connection.all("PRAGMA collation_list").map((row) => text(row[1])),
    table: readTable(connection, table),
    tables: names(
      connection,
      "SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    ),
  }));
}

function readTable(connection: SqliteConnection, table: string): TableFacts | undefined {
  const found = connection.first("SELECT type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE BINARY", table);
  if (found === undefined || table.startsWith("sqlite_")) return undefined;
  const strict = found[2] === 1n;
  const info = connection.all("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?, 'main')", table);
  const indexes = readIndexes(connection, table);
  const withoutRowid = found[1] === 1n;
  return {
    name: table,
    type: text(found[0]),
    withoutRowid,
    strict,
    sql: text(connection.first("SELECT sql FROM main.sqlite_schema WHERE name = ? AND type IN ('table', 'view')", table)?.[0]),
    columns: info.map((row) => columnFacts(row, strict)),
    indexes,
    rowidColumn: withoutRowid ? undefined : findRowidColumn(info, indexes),
    referringColumns: names(connection, "SELECT DISTINCT \"from\" FROM pragma_foreign_key_list(?, 'main')", table),
    triggers: names(
      connection,
      "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name",
      table,
    ),
  };
}

function columnFacts([name, type, notNull, , hidden]: ResultRow, strict: boolean): ColumnFacts {
  return {
    name: text(name),
    declaredType: text(type),
    affinity: affinityOf(text(type), strict),
    notNull: notNull === 1n,
    generated: hidden === 2n || hidden === 3n,
  };
}

function readIndexes(connection: SqliteConnection, table: string): IndexFacts[] {
  return connection
    .all("SELECT name, \"unique\", origin, partial FROM pragma_index_list(?, 'main')", table)
    .map(([name, unique, origin, partial]) => ({
      name: text(name),
      unique: unique === 1n,
      partial: partial === 1n,
      origin: text(origin),
      terms: connection
        .all('SELECT name, coll, "desc" FROM pragma_index_xinfo(?, \'main\') WHERE "key" = 1 ORDER BY seqno', text(name))
        .map(([column, collation, descending]) => ({
          name: typeof column === "string" ? column : undefined,
          collation: text(collation).toUpperCase(),
          descending: descending === 1n,
        })),
    }));
}

/** `INTEGER PRIMARY KEY DESC` looks the same but is no other name of the rowid: it has an index of its own. */
function findRowidColumn(info: readonly ResultRow[], indexes: readonly IndexFacts[]): string | undefined {
  const key = info.filter((row) => row[3] !== 0n);
  const [only] = key;
  const isAlias = key.length === 1 && /^INTEGER$/i.test(text(only?.[1])) && !indexes.some((index) => index.origin === "pk");
  return isAlias ? text(only?.[0]) : undefined;
}

function names(connection: SqliteConnection, sql: string, ...parameters: string[]): string[] {
  return connection.all(sql, ...parameters).map((row) => text(row[0]));
}

function text(value: ResultRow[number] | undefined): string {
  return typeof value === "string" ? value : "";
}
