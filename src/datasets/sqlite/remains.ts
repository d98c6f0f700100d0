import { listNames } from "../name-list.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import type { TableFacts } from "./table-facts.ts";

/** What decides where replaced values stay. */
interface RemainFacts {
  /** There is a write-ahead log. */
  readonly hasLog: boolean;
  /** `ANALYZE` kept samples of the table's indexed values. */
  readonly hasSamples: boolean;
}

/** Looks the facts up. */
export function remainFacts(connection: SqliteConnection): RemainFacts {
  return {
    hasLog: connection.first("PRAGMA main.journal_mode")?.[0] === "wal",
    hasSamples: connection.first("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat4'") !== undefined,
  };
}

/** Where the database may still have what these columns held, and what takes it away. */
export function adviseOnRemains(columns: readonly string[], table: TableFacts, { hasLog, hasSamples }: RemainFacts): string[] {
  const indexes = table.indexes.filter(({ terms }) => terms.some(({ name }) => name === undefined || columns.includes(name)));
  const beside = indexes.length === 0 ? "" : `, those of the indexes ${listNames(indexes.map(({ name }) => name))} included`;
  return [
    `free pages and free space in pages${beside}: VACUUM writes the file anew; it waits for other connections (PRAGMA secure_delete = ON, on each ` +
      "of the application's connections, overwrites what is deleted from then on)",
    hasLog
      ? "the write-ahead log (-wal): PRAGMA wal_checkpoint(TRUNCATE), after VACUUM and while nobody reads"
      : "a rollback journal that was left behind (-journal): it is gone when no transaction is under way",
    ...(hasSamples ? ["samples of indexed values in sqlite_stat4: ANALYZE makes them anew"] : []),
    "blocks of the disk that the file had before, copies and backups of the file, and what the application wrote to its logs",
  ];
}
