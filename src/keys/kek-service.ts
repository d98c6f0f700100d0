import { KeysteadError } from "../errors.ts";
import { parseKekUri } from "../kek/kek-uri.ts";
import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { instant } from "./key-records.ts";

/** A KEK of this store. */
export interface KekInfo {
  readonly uri: string;
  /** The KEK version that this store knows. */
  readonly kekId: string;
  /** Keys whose keyset it wraps, the store key included. */
  readonly wraps: number;
  /** Whether this process can open it; otherwise why not. */
  readonly available: boolean;
  readonly problem?: string;
  readonly createdAt: string;
}

/** How far a re-wrapping is. */
export interface RewrapProgress {
  readonly done: number;
  readonly total: number;
}

/** Key-encryption keys: what wraps what, and moving everything to another one. */
export class KekService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every KEK that this store knows, with what it wraps. */
  async list(): Promise<KekInfo[]> {
    const { keks, wraps } = await this.#engine.store.read(async (tables) => ({
      keks: await tables.keks.list(),
      wraps: await tables.wraps.list(),
    }));
    return Promise.all(
      keks.map(async ({ uri, kekId, createdAt }) => ({
        uri,
        kekId,
        wraps: wraps.filter((wrap) => wrap.kekUri === uri).length,
        ...(await this.#probe(uri)),
        createdAt: instant(createdAt),
      })),
    );
  }

  /**
   * Re-wraps the store key and every keyset key from one KEK under another, and points the routes there. Both must be
   * configured. A call that was killed is simply made again: what is left is found by a query. Data is not touched.
   *
   * This does not help after a KEK leaked: whoever has it may hold old wraps. Rotate the keys and re-encrypt then.
   * @throws KeysteadError `UNKNOWN_KEK`, `WRONG_MASTER_KEY`, `KEK_FAILED`, `INVALID_ARGUMENT`
   */
  rotate(from: string, to: string, onProgress: (progress: RewrapProgress) => void = () => undefined): Promise<RewrapProgress> {
    return audited(
      this.#engine,
      { action: "kek.rotate", detail: { from, to } },
      async () => {
        const oldUri = parseKekUri(from).toString();
        const newUri = parseKekUri(to).toString();
        if (oldUri === newUri)
          throw new KeysteadError("INVALID_ARGUMENT", "the new KEK is the old one; name another (`local:NAME` with its own file)");
        await this.#routeTo(oldUri, newUri);
        const wraps = await this.#engine.store.read((tables) => tables.wraps.list({ kekUri: oldUri }));
        let done = 0;
        for (const { subject } of wraps) {
          await this.#rewrap(subject, oldUri, newUri);
          done += 1;
          onProgress({ done, total: wraps.length });
        }
        return { done, total: wraps.length };
      },
      ({ done }) => ({ detail: { from, to, wraps: done } }),
    );
  }

  async #routeTo(oldUri: string, newUri: string): Promise<void> {
    const kek = await this.#engine.keks.handle(newUri);
    await this.#engine.store.transaction(async (tables) => {
      if ((await tables.keks.get({ uri: oldUri })) === undefined) {
        throw new KeysteadError("UNKNOWN_KEK", "this store has nothing under the old KEK; `keystead kek list` shows what it has");
      }
      if ((await tables.keks.get({ uri: newUri })) === undefined) {
        const { kekId, derivation = null } = kek;
        await tables.keks.insert({ uri: newUri, kekId, derivation, createdAt: this.#engine.clock.now() });
      }
      for (const route of await tables.routes.list({ kekUri: oldUri })) await tables.routes.update({ ...route, kekUri: newUri });
    });
  }

  async #rewrap(subject: string, oldUri: string, newUri: string): Promise<void> {
    const { keks, store, clock } = this.#engine;
    const old = await store.read((tables) => tables.wraps.get({ subject, kekUri: oldUri }));
    if (old === undefined) return;
    const key = await keks.unwrap([old]);
    try {
      const wrap = await keks.wrap(subject, key, newUri);
      await store.transaction(async (tables) => {
        const present = await tables.wraps.get({ subject, kekUri: newUri });
        if (present !== undefined) await tables.wraps.remove(present);
        await tables.wraps.insert({ ...wrap, createdAt: clock.now() });
        await tables.wraps.remove(old);
      });
    } finally {
      key.fill(0);
    }
  }

  async #probe(uri: string): Promise<{ available: boolean; problem?: string }> {
    try {
      await this.#engine.keks.handle(uri);
      return { available: true };
    } catch (error) {
      return { available: false, problem: error instanceof KeysteadError ? error.message : "it could not be opened" };
    }
  }
}
