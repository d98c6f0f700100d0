import type { AuditLineRow, AuditStore, AuditTables, CheckpointRow } from "../../../src/audit/audit-store.ts";

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

/** A store that holds just these rows and takes no others. */
export function storeOf({ lines, checkpoints }: AuditRows, generation: number): AuditStore {
  const refuse = (): Promise<never> => Promise.reject(new Error("read only"));
  const tables: AuditTables = {
    auditLines: {
      get: async ({ writer, sequence }) => lines.find((row) => row.writer === writer && row.sequence === sequence),
      list: async () => lines,
      insert: refuse,
    },
    checkpoints: {
      get: async ({ hash }) => checkpoints.find((row) => row.hash === hash),
      list: async () => checkpoints,
      insert: refuse,
    },
  };
  return { read: (work) => work(tables), transaction: refuse, generation: async () => generation };
}
