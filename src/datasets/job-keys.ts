import { isKeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { KeyHandle } from "../keys/key-handle.ts";
import { findKey } from "../keys/key-records.ts";
import { KeyNeeded } from "./row-tasks.ts";

/** Names of keys that there are none of, which anybody may write into a table: only so many are remembered. */
const rememberedMisses = 1000;

/**
 * The keys that a job or search has open for one dataset. Opened for re-encryption, they also open, and make index tokens of,
 * versions that are suspended, compromised or waiting for destruction: a job is how data leaves those.
 */
export class DatasetKeys {
  readonly #engine: Engine;
  readonly #datasetId: string;
  readonly #opening: "open" | "reencrypt";
  readonly #handles = new Map<string, KeyHandle>();
  readonly #missing = new Map<string, Error>();

  constructor(engine: Engine, datasetId: string, opening: "open" | "reencrypt") {
    this.#engine = engine;
    this.#datasetId = datasetId;
    this.#opening = opening;
  }

  /** Opens a key of this store. @throws KeysteadError `UNKNOWN_KEY` */
  async open(keyName: string): Promise<KeyHandle> {
    const opened = this.#handles.get(keyName);
    if (opened !== undefined) return opened;
    const { id } = await this.#engine.store.read((tables) => findKey(tables, keyName));
    const keyset = await this.#engine.registry.get(id);
    const handle = new KeyHandle(this.#engine.registry, keyset, { datasetId: this.#datasetId, opening: this.#opening });
    this.#handles.set(keyName, handle);
    return handle;
  }

  /** Opens a key that a header names; remembers that there is none. */
  async openNamed(keyName: string): Promise<void> {
    try {
      await this.open(keyName);
    } catch (error) {
      if (!isKeysteadError(error, "UNKNOWN_KEY")) throw error;
      const [oldest] = this.#missing.keys();
      if (oldest !== undefined && this.#missing.size >= rememberedMisses) this.#missing.delete(oldest);
      this.#missing.set(keyName, error);
    }
  }

  /**
   * Loads what an attempt to open a value lacked: a key, a version, the lease. The attempt is worth repeating then.
   * @returns false when the error is about something else
   */
  async provideFor(error: unknown): Promise<boolean> {
    if (error instanceof KeyNeeded) await this.openNamed(error.keyName);
    else if (isKeysteadError(error, "KEY_VERSION_NOT_LOADED") || isKeysteadError(error, "KEY_LEASE_EXPIRED"))
      await this.#engine.registry.refresh();
    else return false;
    return true;
  }

  /** The opened key of a header. @throws KeyNeeded, or the error with which opening it failed */
  readonly named = (keyName: string): KeyHandle => {
    const handle = this.#handles.get(keyName);
    if (handle !== undefined) return handle;
    throw this.#missing.get(keyName) ?? new KeyNeeded(keyName);
  };

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    this.#handles.clear();
  }
}
