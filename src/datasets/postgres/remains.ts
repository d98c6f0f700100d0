import { listNames } from "../name-list.ts";
import type { Session } from "./postgres-connection.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** What decides where replaced values stay. */
interface RemainFacts {
  readonly slots: readonly string[];
  readonly archives: boolean;
  readonly logsStatements: boolean;
}

/** Looks the facts up: settings and lists that every user may read. */
export async function remainFacts(session: Session): Promise<RemainFacts> {
  const [row] = await session.rows(
    "select (select coalesce(json_agg(slot_name order by slot_name), '[]') from pg_catalog.pg_replication_slots)::text, " +
      "pg_catalog.current_setting('archive_mode') <> 'off', pg_catalog.current_setting('log_statement') in ('mod', 'all') or " +
      "pg_catalog.current_setting('log_min_duration_statement') <> '-1'",
  );
  const slots: unknown = JSON.parse(row?.[0] ?? "[]");
  return { slots: Array.isArray(slots) ? slots.map(String) : [], archives: row?.[1] === "t", logsStatements: row?.[2] === "t" };
}

/** Where the database may still have what these columns held, and what takes it away. */
export function adviseOnRemains(columns: readonly string[], name: TableName, table: TableFacts, facts: RemainFacts): string[] {
  const quoted = quoteTable(name);
  const indexes = table.indexes.filter(({ terms }) => terms.some((term) => term.name === null || columns.includes(term.name)));
  const beside = indexes.length === 0 ? "" : ` and of the indexes ${listNames(indexes.map((index) => index.name))}`;
  const kept = facts.slots.length === 0 ? "" : `, and longer by the replication slots ${listNames(facts.slots)}`;
  const archived = facts.archives ? ", and in the archive" : "";
  return [
    `dead rows in the files of the table, of its TOAST table${beside}: VACUUM (FULL) ${quoted} writes them anew and locks the table meanwhile; ` +
      "pg_repack does so without the lock. A plain VACUUM only lets them be overwritten",
    `samples of values in the statistics (pg_stats.most_common_vals, histogram_bounds): ANALYZE ${quoted}, after VACUUM`,
    `the write-ahead log: it is kept until it is recycled${kept}${archived}; standbys replay it and have the same dead rows until VACUUM`,
    facts.logsStatements
      ? "the server's log, which has statements with their values (log_statement, log_min_duration_statement)"
      : "the server's log, if it had statements with their values once (log_statement, log_min_duration_statement)",
    "blocks of the disk that the files had before, base backups and dumps, and logical replicas and exports",
  ];
}
