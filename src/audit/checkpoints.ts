import type { Clock } from "../clock.ts";
import { isKeysteadError } from "../errors.ts";
import type { AuditStore, AuditTables, CheckpointRow } from "./audit-store.ts";
import { checkpointHash, encodeCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { type Signer, signVerified } from "./signature.ts";

const attempts = 10;

/** What taking checkpoints needs. */
export interface CheckpointsParts {
  readonly store: AuditStore;
  readonly clock: Clock;
  /** The signer of now; undefined while there is none, and then no checkpoint is taken. */
  readonly signer: () => Signer | undefined;
  /** Hash of a checkpoint near the newest, when one is known: saves reading all of them once. */
  readonly near?: string;
}

/** How far each writer's chain is covered by the checkpoints of a store. */
export async function coveredCounts(tables: AuditTables): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const { body } of await tables.checkpoints.list()) {
    for (const { writer, count } of parseCheckpoint(body)?.positions ?? []) counts.set(writer, Math.max(count, counts.get(writer) ?? 0));
  }
  return counts;
}

/** The hash that no other checkpoint names as its previous one, from `from` on; empty when there is no checkpoint. */
async function findNewest(tables: AuditTables, from: string): Promise<string> {
  const seen = new Set<string>();
  let newest = from;
  while (!seen.has(newest)) {
    seen.add(newest);
    const [next] = await tables.checkpoints.list({ previous: newest });
    if (next === undefined) break;
    newest = next.hash;
  }
  return newest;
}

/** Takes checkpoints: one chain of signatures over the chains of all writers of a store, whichever process takes them. */
export class Checkpoints {
  readonly #parts: CheckpointsParts;
  #newest: string | undefined;

  constructor(parts: CheckpointsParts) {
    this.#parts = parts;
    this.#newest = parts.near;
  }

  /**
   * Signs where the given chains stand and stores that as the newest checkpoint. Their lines must be in the store already.
   * Undefined when there is nothing to cover, or nobody to sign.
   *
   * @throws KeysteadError what the store says; `CONFLICT` when other processes took the place ten times in a row
   */
  async take(positions: readonly ChainPosition[]): Promise<CheckpointRow | undefined> {
    const signer = this.#parts.signer();
    if (positions.length === 0 || signer === undefined) return undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        const row = await this.#append(positions, signer);
        this.#newest = row.hash;
        return row;
      } catch (error) {
        // Another process was faster: its checkpoint is the previous one now.
        if (attempt >= attempts || !(isKeysteadError(error, "NAME_TAKEN") || isKeysteadError(error, "CONFLICT"))) throw error;
      }
    }
  }

  async #append(positions: readonly ChainPosition[], signer: Signer): Promise<CheckpointRow> {
    const { store, clock } = this.#parts;
    const generation = await store.generation();
    return store.transaction(async (tables) => {
      const previous = await findNewest(tables, await this.#start(tables));
      const body = encodeCheckpoint({ previous, generation, positions });
      const signature = signVerified(signer, body);
      const row = { hash: checkpointHash(body), previous, takenAt: clock.now(), generation, body, signature, signer: signer.keyId };
      await tables.checkpoints.insert(row);
      return row;
    });
  }

  /** A checkpoint that is there, not far from the newest: walking from the first one is for the first time only. */
  async #start(tables: AuditTables): Promise<string> {
    if (this.#newest !== undefined && (await tables.checkpoints.get({ hash: this.#newest })) !== undefined) return this.#newest;
    const rows = await tables.checkpoints.list();
    const named = new Set(rows.map((row) => row.previous));
    return rows.find((row) => !named.has(row.hash))?.hash ?? "";
  }
}
