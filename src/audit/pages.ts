import { setImmediate as nextTurn } from "node:timers/promises";
import type { AuditLineRow, AuditPage, AuditStore, CheckpointRow, LineKey } from "./audit-store.ts";

/** All rows of a table in the order of their keys, `limit` of them in memory at a time. Each page is a snapshot of its own. */
export async function* pageThrough<Row, Key>(
  keyOf: (row: Row) => Key,
  list: (page: AuditPage<Key>) => Promise<Row[]>,
  limit: number,
): AsyncGenerator<Row> {
  for (let page: AuditPage<Key> | undefined = { limit }; page !== undefined;) {
    const rows: Row[] = await list(page);
    yield* rows;
    // A store that answers without waiting would keep everything else from running for the whole table.
    await nextTurn();
    const last = rows.length < limit ? undefined : rows.at(-1);
    page = last === undefined ? undefined : { after: keyOf(last), limit };
  }
}

function lines(store: AuditStore, where: Partial<AuditLineRow>): AsyncGenerator<AuditLineRow> {
  const keyOf = ({ writer, sequence }: AuditLineRow): LineKey => ({ writer, sequence });
  return pageThrough(keyOf, (page) => store.read((tables) => tables.auditLines.list(where, page)), 100);
}

/** The lines of a store by writer and sequence. */
export function allLines(store: AuditStore): AsyncGenerator<AuditLineRow> {
  return lines(store, {});
}

/** The lines of one writer by sequence. */
export function linesOf(store: AuditStore, writer: string): AsyncGenerator<AuditLineRow> {
  return lines(store, { writer });
}

/** The checkpoints of a store by hash, which is no order of time. */
export function allCheckpoints(store: AuditStore): AsyncGenerator<CheckpointRow> {
  return pageThrough(
    ({ hash }) => ({ hash }),
    (page) => store.read((tables) => tables.checkpoints.list({}, page)),
    200,
  );
}
