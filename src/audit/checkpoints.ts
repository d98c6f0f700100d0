import type { Clock } from "../clock.ts";
import { isKeysteadError } from "../errors.ts";
import type { AuditStore, AuditTables, CheckpointRow } from "./audit-store.ts";
import { checkpointHash, encodeCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { allCheckpoints } from "./pages.ts";
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

/** How far the checkpoints of a store cover the chains of some writers. */
export async function coveredCounts(store: AuditStore, writers: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const { body } of allCheckpoints(store)) {
    for (const { writer, count } of parseCheckpoint(body)?.positions ?? []) {
      if (writers.has(writer)) counts.set(writer, Math.max(count, counts.get(writer) ?? 0));
    }
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

/** The newest checkpoint of a store, found without a hint: the one that no other names; empty when there is none. */
async function searchNewest(store: AuditStore): Promise<string> {
  for await (const { hash } of allCheckpoints(store)) {
    const [next] = await store.read((tables) => tables.checkpoints.list({ previous: hash }, { limit: 1 }));
    if (next === undefined) return hash;
  }
  return "";
}

/** Takes checkpoints: one chain of signatures over the chains of all writers of a store, whichever process takes them. */
export class Checkpoints {
  readonly #parts: CheckpointsParts;
  #newest: string | undefined;

  constructor(parts: CheckpointsParts) {
    this.#parts = parts;
    this.#newest = parts.near;
  }

  /** Hash of the newest checkpoint of the store; empty when there is none. */
  async findNewest(): Promise<string> {
    const near = await this.#findNear();
    this.#newest = await this.#parts.store.read((tables) => findNewest(tables, near));
    return this.#newest;
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
    const near = await this.#findNear();
    return store.transaction(async (tables) => {
      const known = await tables.checkpoints.get({ hash: near });
      const previous = await findNewest(tables, known === undefined ? "" : near);
      const body = encodeCheckpoint({ previous, generation, positions });
      const signature = signVerified(signer, body);
      const row = { hash: checkpointHash(body), previous, takenAt: clock.now(), generation, body, signature, signer: signer.keyId };
      await tables.checkpoints.insert(row);
      return row;
    });
  }

  /** A checkpoint that is there, not far from the newest; walking from the first one would take long. */
  async #findNear(): Promise<string> {
    const { store } = this.#parts;
    const hash = this.#newest;
    const known = hash === undefined ? undefined : await store.read((tables) => tables.checkpoints.get({ hash }));
    return known?.hash ?? (await searchNewest(store));
  }
}
