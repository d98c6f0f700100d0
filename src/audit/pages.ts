import { setImmediate as nextTurn } from "node:timers/promises";
import type { AuditLineRow, AuditPage, AuditStore, CheckpointRow, LineKey } from "./audit-store.ts";

/** All rows of a table in the order of their keys, `limit` of them in memory at a time. Each page is a snapshot of its own. */
export async function* pageThrough<Row, Key>(
  keyOf: (row: Row) => Key,
  list: (page: AuditPage<Key>) => Promise<Row[]>,
  limit: number,
  after?: Key,
): AsyncGenerator<Row> {
  const first: AuditPage<Key> = after === undefined ? { limit } : { after, limit };
  for (let page: AuditPage<Key> | undefined = first; page !== undefined;) {
    const rows: Row[] = await list(page);
    yield* rows;
    // A store that answers without waiting would keep everything else from running for the whole table.
    await nextTurn();
    const last = rows.length < limit ? undefined : rows.at(-1);
    page = last === undefined ? undefined : { after: keyOf(last), limit };
  }
}

function lineKey({ writer, sequence }: AuditLineRow): LineKey {
  return { writer, sequence };
}

function lines(store: AuditStore, where: Partial<AuditLineRow>): AsyncGenerator<AuditLineRow> {
  return pageThrough(lineKey, (page) => store.read((tables) => tables.auditLines.list(where, page)), 100);
}

/** The lines of a store by writer and sequence. */
export function allLines(store: AuditStore): AsyncGenerator<AuditLineRow> {
  return lines(store, {});
}

/** The lines of one writer by sequence. */
export function linesOf(store: AuditStore, writer: string): AsyncGenerator<AuditLineRow> {
  return lines(store, { writer });
}

/** The lines of one writer behind a number, by sequence. */
export function linesFrom(store: AuditStore, writer: string, sequence: number): AsyncGenerator<AuditLineRow> {
  return pageThrough(lineKey, (page) => store.read((tables) => tables.auditLines.list({ writer }, page)), 100, { writer, sequence });
}

/** The lines of one writer from the last to the first, or from one of them on. */
export function linesBackwards(store: AuditStore, writer: string, last?: number): AsyncGenerator<AuditLineRow> {
  return pageThrough(
    lineKey,
    (page) => store.read((tables) => tables.auditLines.list({ writer }, { ...page, descending: true })),
    100,
    last === undefined ? undefined : { writer, sequence: last + 1 },
  );
}

/** The writers that have lines in a store, without reading all of those. */
export function storedWriters(store: AuditStore): AsyncGenerator<AuditLineRow> {
  const behindWriter = ({ writer }: AuditLineRow): LineKey => ({ writer, sequence: Number.MAX_SAFE_INTEGER });
  return pageThrough(behindWriter, (page) => store.read((tables) => tables.auditLines.list({}, page)), 1);
}

/** The checkpoints of a store by hash, which is no order of time. */
export function allCheckpoints(store: AuditStore): AsyncGenerator<CheckpointRow> {
  return pageThrough(
    ({ hash }) => ({ hash }),
    (page) => store.read((tables) => tables.checkpoints.list({}, page)),
    200,
  );
}
