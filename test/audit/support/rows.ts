import type { AuditLineRow, AuditPage, AuditStore, AuditTable, AuditTables, CheckpointRow } from "../../../src/audit/audit-store.ts";

/** The audit rows of a store, for a test to bend as somebody who can write the database would. */
export interface AuditRows {
  readonly lines: AuditLineRow[];
  readonly checkpoints: CheckpointRow[];
}

/** Copies all rows. */
export async function readRows(store: AuditStore): Promise<AuditRows> {
  return store.read(async (tables) => ({
    lines: (await tables.auditLines.list()).map(({ writer, sequence, line }) => ({ writer, sequence, line })),
    checkpoints: (await tables.checkpoints.list()).map(({ hash, previous, takenAt, generation, body, signature, signer }) => {
      return { hash, previous, takenAt, generation, body, signature, signer };
    }),
  }));
}

/** A table of just these rows that takes no others. */
function tableOf<Row extends Key, Key extends object>(
  rows: readonly Row[],
  keyOf: (row: Key) => readonly (string | number)[],
): AuditTable<Row, Key> {
  const compare = (one: Key, other: Key): number => {
    const differing = keyOf(one).findIndex((part, index) => part !== keyOf(other)[index]);
    return differing === -1 ? 0 : (keyOf(one)[differing] ?? 0) < (keyOf(other)[differing] ?? 0) ? -1 : 1;
  };
  const list = async (where: Partial<Row> = {}, page?: AuditPage<Key>): Promise<Row[]> => {
    const wanted = Object.entries(where);
    const found = rows.filter((row) =>
      wanted.every(([name, value]) => Object.entries(row).some(([key, own]) => key === name && own === value)),
    );
    const sorted = found.toSorted(compare);
    if (page?.descending === true) sorted.reverse();
    const sign = page?.descending === true ? -1 : 1;
    const after = page?.after;
    return sorted.filter((row) => after === undefined || sign * compare(row, after) > 0).slice(0, page?.limit);
  };
  return {
    get: async (key) => rows.find((row) => compare(row, key) === 0),
    list,
    insert: () => Promise.reject(new Error("read only")),
    insertAll: () => Promise.reject(new Error("read only")),
  };
}

/** A store that holds just these rows and takes no others. */
export function storeOf({ lines, checkpoints }: AuditRows, generation: number): AuditStore {
  const tables: AuditTables = {
    auditLines: tableOf<AuditLineRow, Pick<AuditLineRow, "writer" | "sequence">>(lines, ({ writer, sequence }) => [writer, sequence]),
    checkpoints: tableOf<CheckpointRow, { readonly hash: string }>(checkpoints, ({ hash }) => [hash]),
  };
  return { read: (work) => work(tables), transaction: () => Promise.reject(new Error("read only")), generation: async () => generation };
}
