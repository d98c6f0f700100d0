import type { Store } from "../store/store.ts";
import { addToCounter, type CounterChange, type CounterKey } from "./counters.ts";
import type { Keyset, LoadedVersion } from "./keyset.ts";
import { SealMeter } from "./seal-meter.ts";

/** Counted use of a key version. */
export interface KeyUse {
  readonly key: string;
  readonly label: string;
  readonly seals: number;
  readonly opens: number;
  /** Attempts that the version's state forbade. */
  readonly refusals: number;
}

/** What is written in one transaction, and what follows when it was or was not. */
interface PendingChange {
  readonly counter: CounterKey;
  readonly change: CounterChange;
  readonly settle: (written: boolean) => void;
}

interface MeteredVersion {
  readonly meter: SealMeter;
  readonly keyset: Keyset;
  readonly version: LoadedVersion;
}

/** Says whether a version may still be sealed with for a dataset, so that its lease is kept. */
export type SealsOn = (counter: CounterKey) => boolean;

/** Counts what this process does with keys: in the store for the ledger, and per interval for the audit. */
export class UseCounts {
  readonly #store: Store;
  readonly #meters = new Map<string, MeteredVersion>();
  #unreported = new Map<string, KeyUse>();
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The meter that counts seals of a version for a dataset (empty: outside datasets). */
  meter(keyset: Keyset, version: LoadedVersion, datasetId: string): SealMeter {
    const counter = { keyId: keyset.id, version: version.version, datasetId };
    const name = `${keyset.id} ${String(version.version)} ${datasetId}`;
    const known = this.#meters.get(name);
    if (known !== undefined) return known.meter;
    const limit = keyset.algorithm.kind === "aead" ? keyset.algorithm.messageLimit : undefined;
    const meter = new SealMeter(this.#store, counter, limit);
    this.#meters.set(name, { meter, keyset, version });
    return meter;
  }

  /** Seals that this process has leased for a version and not used, by dataset. */
  unused(keyId: string, version: number): ReadonlyMap<string, number> {
    const meters = [...this.#meters.values()].map(({ meter }) => meter);
    const of = meters.filter(({ counter }) => counter.keyId === keyId && counter.version === version);
    return new Map(of.map((meter) => [meter.counter.datasetId, meter.unused]));
  }

  /**
   * Writes what was counted, and gives leases back that nobody seals with any more. One flush at a time: when it resolves,
   * everything that was counted before the call is stored.
   */
  flush(keysets: Iterable<Keyset>, sealsOn: SealsOn): Promise<void> {
    const loaded = [...keysets];
    const flush = this.#flushing.then(() => this.#flushNow(loaded, sealsOn));
    this.#flushing = flush.catch(() => undefined);
    return flush;
  }

  /** Use of each key version since the last call, for the audit. */
  takeUse(): KeyUse[] {
    for (const { meter, keyset, version } of this.#meters.values()) {
      const seals = meter.takeUsed();
      if (seals > 0) this.#note(keyset, version, { seals });
    }
    const uses = [...this.#unreported.values()];
    this.#unreported = new Map();
    return uses;
  }

  /** Puts back what {@link takeUse} gave and the audit did not take. */
  restoreUse(use: KeyUse): void {
    this.#add(use);
  }

  async #flushNow(keysets: readonly Keyset[], sealsOn: SealsOn): Promise<void> {
    const pending: PendingChange[] = [];
    for (const [name, { meter }] of [...this.#meters]) {
      const { counter } = meter;
      const change = await meter.takeChange(!sealsOn(counter));
      if (change !== undefined) pending.push({ counter, change: { seals: change.seals }, settle: change.settle });
      else if (meter.idle) this.#meters.delete(name);
    }
    for (const keyset of keysets) for (const version of keyset.versions) pending.push(...this.#takeOpens(keyset, version));
    if (pending.length === 0) return;
    let written = false;
    try {
      await this.#store.transaction(async (tables) => {
        for (const { counter, change } of pending) await addToCounter(tables, counter, change);
      });
      written = true;
    } finally {
      for (const { settle } of pending) settle(written);
    }
  }

  #takeOpens(keyset: Keyset, version: LoadedVersion): PendingChange[] {
    const { usage } = version;
    const { opens, refusals, lastOpenedAt, lastRefusedAt } = usage;
    if (opens === 0 && refusals === 0) return [];
    usage.opens = 0;
    usage.refusals = 0;
    const change = { opens, refusals, ...(opens > 0 && { lastOpenedAt }), ...(refusals > 0 && { lastRefusedAt }) };
    const settle = (written: boolean): void => {
      if (written) {
        this.#note(keyset, version, { opens, refusals });
        return;
      }
      usage.opens += opens;
      usage.refusals += refusals;
    };
    return [{ counter: { keyId: keyset.id, version: version.version, datasetId: "" }, change, settle }];
  }

  #note(keyset: Keyset, { label }: LoadedVersion, use: Partial<KeyUse>): void {
    this.#add({ seals: 0, opens: 0, refusals: 0, ...use, key: keyset.name, label });
  }

  #add(use: KeyUse): void {
    const name = `${use.key}:${use.label}`;
    const before = this.#unreported.get(name);
    this.#unreported.set(name, {
      ...use,
      seals: use.seals + (before?.seals ?? 0),
      opens: use.opens + (before?.opens ?? 0),
      refusals: use.refusals + (before?.refusals ?? 0),
    });
  }
}
