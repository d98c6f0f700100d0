import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { KeyHandle } from "../keys/key-handle.ts";
import { findKey } from "../keys/key-records.ts";
import { keysOf } from "./dataset-acts.ts";
import type { Dataset } from "./dataset-records.ts";
import { KeyNeeded } from "./row-tasks.ts";

/** Names of keys that there are none of, which anybody may write into a table: only so many are remembered. */
const rememberedMisses = 1000;

/** What the keys of a dataset are opened for. */
export interface DatasetOpening {
  /** What access control was asked about the dataset's own keys, and is asked about any other that a value names. */
  readonly action: string;
  readonly opening: "open" | "reencrypt";
}

/**
 * The keys that a job or search has open for one dataset. Opened for re-encryption, they also open, and make index tokens of,
 * versions that are suspended, compromised or waiting for destruction: a job is how data leaves those.
 */
export class DatasetKeys {
  readonly #engine: Engine;
  readonly #dataset: Dataset;
  readonly #opening: DatasetOpening;
  readonly #own: ReadonlySet<string>;
  readonly #handles = new Map<string, KeyHandle>();
  readonly #missing = new Map<string, Error>();

  constructor(engine: Engine, dataset: Dataset, opening: DatasetOpening) {
    this.#engine = engine;
    this.#dataset = dataset;
    this.#opening = opening;
    this.#own = new Set(keysOf(dataset));
  }

  /** Opens a key of this store. @throws KeysteadError `UNKNOWN_KEY` */
  async open(keyName: string): Promise<KeyHandle> {
    const opened = this.#handles.get(keyName);
    if (opened !== undefined) return opened;
    const { id } = await this.#engine.store.read((tables) => findKey(tables, keyName));
    const keyset = await this.#engine.registry.get(id);
    const handle = new KeyHandle(this.#engine.registry, keyset, { datasetId: this.#dataset.id, opening: this.#opening.opening });
    this.#handles.set(keyName, handle);
    return handle;
  }

  /** Opens a key that a header names; remembers that there is none, and that it is not for whoever is behind the work. */
  async openNamed(keyName: string): Promise<void> {
    try {
      if (!this.#own.has(keyName)) await this.#ask(keyName);
      await this.open(keyName);
    } catch (error) {
      if (!isKeysteadError(error, "UNKNOWN_KEY") && !isKeysteadError(error, "ACCESS_DENIED")) throw error;
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

  /** Anybody may write into a table what another key sealed. @throws KeysteadError `ACCESS_DENIED` */
  async #ask(key: string): Promise<void> {
    const { access, caller } = this.#engine.behalf ?? this.#engine;
    const { action } = this.#opening;
    try {
      await access.authorize(caller, action, { key, dataset: this.#dataset.name });
    } catch (error) {
      if (!isKeysteadError(error, "APPROVAL_REQUIRED")) throw error;
      throw new KeysteadError(
        "ACCESS_DENIED",
        `${action} waits for a second person where a value names a key that is none of the dataset's`,
      );
    }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close();
    this.#handles.clear();
  }
}
