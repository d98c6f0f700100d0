import { quoteIdentifier } from "../../postgres/identifier.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** The statement that makes an index while the application goes on; of a partitioned table PostgreSQL can't make one so. */
export function createIndex(name: TableName, { kind }: TableFacts, suffix: string, term: string): string {
  const create = kind === "p" ? "CREATE INDEX" : "CREATE INDEX CONCURRENTLY";
  return `${create} ${quoteIdentifier(`${name.table}_${suffix}`)} ON ${quoteTable(name)} (${term})`;
}
