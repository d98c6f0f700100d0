import type { AuditLineRow, AuditPage, AuditStore, CheckpointRow, LineKey } from "./audit-store.ts";

const linesPerPage = 500;
const checkpointsPerPage = 200;

/** All rows of a table in the order of their keys, one page in memory at a time. Each page is a snapshot of its own. */
async function* pageThrough<Row extends Key, Key>(limit: number, list: (page: AuditPage<Key>) => Promise<Row[]>): AsyncGenerator<Row> {
  let rows = await list({ limit });
  for (;;) {
    yield* rows;
    const after = rows.at(-1);
    if (after === undefined || rows.length < limit) return;
    rows = await list({ after, limit });
  }
}

/** The lines of a store by writer and sequence. */
export function allLines(store: AuditStore): AsyncGenerator<AuditLineRow> {
  return pageThrough<AuditLineRow, LineKey>(linesPerPage, (page) => store.read((tables) => tables.auditLines.list({}, page)));
}

/** The lines of one writer by sequence. */
export function linesOf(store: AuditStore, writer: string): AsyncGenerator<AuditLineRow> {
  return pageThrough<AuditLineRow, LineKey>(linesPerPage, (page) => store.read((tables) => tables.auditLines.list({ writer }, page)));
}

/** The checkpoints of a store by hash, which is no order of time. */
export function allCheckpoints(store: AuditStore): AsyncGenerator<CheckpointRow> {
  return pageThrough<CheckpointRow, { readonly hash: string }>(checkpointsPerPage, (page) =>
    store.read((tables) => tables.checkpoints.list({}, page)),
  );
}
