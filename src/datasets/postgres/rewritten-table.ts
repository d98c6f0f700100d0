import { quoteLiteral } from "../../postgres/identifier.ts";
import type { Session } from "./postgres-connection.ts";
import { quoteTable, type TableName } from "./table-name.ts";

/** That the table is not the one of the snapshot. Its code is the one by which PostgreSQL asks for the transaction to be done again. */
class RewrittenError extends Error {
  readonly code = "40001";
}

/**
 * Called once the table was read. A statement that writes it anew (`TRUNCATE`, `ALTER TABLE` of a type) and commits between the snapshot
 * and the first reading leaves it empty to that snapshot, without an error. `pg_class` is read by the snapshot, and
 * `pg_relation_filenode` tells what there is.
 * https://www.postgresql.org/docs/current/mvcc-caveats.html
 * @throws an error after which the transaction is done again
 */
export async function refuseRewritten(session: Session, name: TableName): Promise<void> {
  const table = `${quoteLiteral(quoteTable(name))}::pg_catalog.regclass`;
  const rewritten = await session.rows(
    `select 1 from (select relid from pg_partition_tree(${table}) union select ${table}) part ` +
      "left join pg_catalog.pg_class c on c.oid = part.relid " +
      "where c.oid is null or nullif(c.relfilenode, 0) is distinct from pg_relation_filenode(part.relid) limit 1",
  );
  if (rewritten.length > 0) throw new RewrittenError("the table was written anew since the transaction began");
}
