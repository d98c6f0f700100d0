import type { AuditPage, AuditStore, AuditTable, AuditTables } from "../../../src/audit/audit-store.ts";

/** A store that notes how its long tables are read. */
export interface WatchedStore {
  readonly store: AuditStore;
  /** Rows of each list. */
  readonly lists: number[];
  /** Lists that were neither a page nor by a condition that holds for few rows. */
  readonly unbounded: unknown[];
}

/** Watches all reading of a store. */
export function watchStore(store: AuditStore): WatchedStore {
  const lists: number[] = [];
  const unbounded: unknown[] = [];
  const watch = <Row, Key>(table: AuditTable<Row, Key>): AuditTable<Row, Key> => ({
    get: (key) => table.get(key),
    insert: (row) => table.insert(row),
    insertAll: (rows) => table.insertAll(rows),
    list: async (where?: Partial<Row>, page?: AuditPage<Key>) => {
      const rows = await table.list(where, page);
      lists.push(rows.length);
      if (page === undefined && Object.keys(where ?? {}).join() !== "previous") unbounded.push(where);
      return rows;
    },
  });
  const watchAll = ({ auditLines, checkpoints }: AuditTables): AuditTables => ({
    auditLines: watch(auditLines),
    checkpoints: watch(checkpoints),
  });
  return {
    lists,
    unbounded,
    store: {
      read: (work) => store.read((tables) => work(watchAll(tables))),
      transaction: (work) => store.transaction((tables) => work(watchAll(tables))),
      generation: () => store.generation(),
    },
  };
}
