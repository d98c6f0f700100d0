import type { AuditStore, CheckpointRow } from "../audit-store.ts";
import { parseCheckpoint } from "../checkpoint.ts";
import type { ChainPosition } from "../hash-chain.ts";

/** The checkpoints of a store from one of them back to the first, as far as they hang together. */
export async function* checkpointsBackwards(store: AuditStore, from: string): AsyncGenerator<CheckpointRow> {
  const seen = new Set<string>();
  for (let hash = from; hash !== "" && !seen.has(hash);) {
    const wanted = hash;
    const row = await store.read((tables) => tables.checkpoints.get({ hash: wanted }));
    if (row === undefined) return;
    seen.add(hash);
    yield row;
    hash = row.previous;
  }
}

/** Where each chain stood when a checkpoint was taken, by what it and those before it say. Needs memory for the writers. */
export async function positionsAt(store: AuditStore, checkpoint: string): Promise<ReadonlyMap<string, ChainPosition>> {
  const positions = new Map<string, ChainPosition>();
  for await (const { body } of checkpointsBackwards(store, checkpoint)) {
    for (const position of parseCheckpoint(body)?.positions ?? []) {
      if (!positions.has(position.writer)) positions.set(position.writer, position);
    }
  }
  return positions;
}
