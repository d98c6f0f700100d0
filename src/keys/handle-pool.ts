import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import type { CacheUse } from "../observer.ts";
import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle, type KeyHandleOptions } from "./key-handle.ts";
import type { NamedKey } from "./key-names.ts";

/** Handles that are kept open: how many, and for how many milliseconds since their last use. */
const openHandles = { count: 256, milliseconds: 600_000 } as const;

/** What tells that a call may succeed when it is made again, after what is done about it. */
const retries: Readonly<Partial<Record<ErrorCode, (key: KeyHandle) => Promise<void>>>> = {
  KEY_BUDGET_NOT_LEASED: (key) => key.prepare(),
  KEY_VERSION_NOT_LOADED: (key) => key.refresh(),
  KEY_LEASE_EXPIRED: (key) => key.refresh(),
};

/** How often a call is tried again for one reason: while it is, others may rotate the key once more. */
const mostRetries = 3;

/** A key, and what it is opened for. */
export interface Place {
  readonly key: NamedKey;
  /** Name of the dataset that it seals for; absent: none. */
  readonly dataset?: string | undefined;
  readonly opening?: KeyHandleOptions["opening"];
}

/** What the audit is told of an opening. */
export const openingActs: Readonly<Record<KeyHandleOptions["opening"], string>> = { open: "keys.open", reencrypt: "keys.rewrap" };

interface OpenHandle {
  readonly key: KeyHandle;
  /** True when it was used since {@link HandlePool.closeIdle} looked. Using it happens too often to ask a clock. */
  used: boolean;
  /** When it was last found used, by the monotonic clock. */
  usedAt: number;
}

/**
 * The keys that asynchronous calls of any caller have open. Each opening is recorded as the process's own act; a version that another
 * process made a moment ago is loaded and the call tried again.
 */
export class HandlePool {
  /** How often a key was open already. */
  readonly lookups: CacheUse = { hits: 0, misses: 0 };
  readonly #engine: Engine;
  /** By place. */
  readonly #handles = new Map<string, OpenHandle>();
  readonly #opening = new Map<string, Promise<void>>();

  /** @param engine whose access control allows everything: whoever uses a key of the pool has asked for the use itself */
  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Opens a handle that is the caller's own. @throws KeysteadError `UNKNOWN_KEY`, KEK errors, `CLOSED` */
  async open(keyId: string, options: KeyHandleOptions): Promise<KeyHandle> {
    const { registry } = this.#engine;
    const key = new KeyHandle(registry, await registry.get(keyId), options);
    // A key that can't seal at the moment may still open: whoever seals is told why not.
    if (options.opening === "open") await key.prepare().catch(() => undefined);
    return key;
  }

  /** The open handle of a place, for use before anything else can close it. */
  peek(place: Place): KeyHandle | undefined {
    const handle = this.#handles.get(nameOf(place));
    if (handle === undefined) return undefined;
    handle.used = true;
    return handle.key;
  }

  /** As {@link use}, at once where the key is open already. */
  now<T>(place: Place, work: (key: KeyHandle) => T): T | Promise<T> {
    const key = this.peek(place);
    if (key === undefined) return this.use(place, work);
    this.lookups.hits += 1;
    try {
      return work(key);
    } catch (error) {
      if (!(error instanceof KeysteadError) || retries[error.code] === undefined) throw error;
      return this.use(place, work);
    }
  }

  /** Works with a key. `work` may run again. @throws KeysteadError as {@link open}, `UNKNOWN_DATASET`, and what the work throws */
  async use<T>(place: Place, work: (key: KeyHandle) => T): Promise<T> {
    const tried = new Map<string, number>();
    for (;;) {
      const key = this.peek(place);
      if (key === undefined) {
        this.lookups.misses += 1;
        await this.#openOnce(place);
        continue;
      }
      try {
        return work(key);
      } catch (error) {
        if (!(error instanceof KeysteadError)) throw error;
        const before = tried.get(error.code) ?? 0;
        const retry = before < mostRetries ? retries[error.code] : undefined;
        if (retry === undefined) throw error;
        tried.set(error.code, before + 1);
        await retry(key).catch(unlessClosed);
      }
    }
  }

  /** Closes handles that were not used for ten minutes. */
  async closeIdle(): Promise<void> {
    this.#look();
    const since = this.#engine.clock.monotonic() - openHandles.milliseconds;
    await this.#closeWhere(({ usedAt }) => usedAt <= since);
  }

  /** Closes every handle. */
  close(): Promise<void> {
    return this.#closeWhere(() => true);
  }

  async #closeWhere(isOver: (handle: OpenHandle) => boolean): Promise<void> {
    const over = [...this.#handles].filter(([, handle]) => isOver(handle));
    for (const [place] of over) this.#handles.delete(place);
    for (const [, { key }] of over) await key.close();
  }

  #look(): void {
    const now = this.#engine.clock.monotonic();
    for (const handle of this.#handles.values()) {
      if (handle.used) handle.usedAt = now;
      handle.used = false;
    }
  }

  #openOnce(place: Place): Promise<void> {
    const name = nameOf(place);
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#openNow(place, name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async #openNow({ key: { id, name: keyName }, dataset, opening = "open" }: Place, name: string): Promise<void> {
    const datasetId = await this.#engine.names.datasetId(dataset);
    const act = { action: openingActs[opening], key: keyName, ...(dataset !== undefined && { dataset }), terms: {} };
    const key = await audited(this.#engine, act, () => this.open(id, { datasetId, opening }));
    this.#handles.set(name, { key, used: true, usedAt: 0 });
    if (this.#handles.size <= openHandles.count) return;
    this.#look();
    const [oldest] = [...this.#handles].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    await this.#closeWhere((handle) => handle === oldest?.[1]);
  }
}

/**
 * Neither ids nor ways of opening hold a space; names of datasets may, at the end. The commonest place is named by the id itself: no text is
 * made for each item of a batch.
 */
function nameOf({ key, dataset, opening = "open" }: Place): string {
  return dataset === undefined && opening === "open" ? key.id : `${opening} ${key.id} ${dataset ?? ""}`;
}

/** A handle that made room for another one meanwhile is opened again. */
function unlessClosed(error: unknown): void {
  if (!isKeysteadError(error, "CLOSED")) throw error;
}
