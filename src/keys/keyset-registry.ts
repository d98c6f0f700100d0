import type { Clock } from "../clock.ts";
import type { AeadOptions } from "../crypto/aead.ts";
import { RandomPool, type RandomSource } from "../crypto/random.ts";
import { KeysteadError } from "../errors.ts";
import type { Store, StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { addToCounter } from "./counters.ts";
import type { KekRing, WrapRow } from "./kek-ring.ts";
import { createVersionCipher, describeVersion, Keyset, type LoadedVersion } from "./keyset.ts";
import { Lease } from "./lease.ts";
import { KeysetKey } from "./sealed-material.ts";
import { SealMeter } from "./seal-meter.ts";
import { readSettings, type Settings } from "./settings.ts";

/** Keys that are kept loaded while no handle holds them. */
const idleCapacity = 1000;

interface KeysetRecords {
  readonly key: StoredRecord<"keys">;
  readonly versions: readonly StoredRecord<"versions">[];
  readonly wraps: readonly WrapRow[];
  readonly settings: Settings;
}

/** Counted use of a key version. */
export interface KeyUse {
  readonly key: string;
  readonly label: string;
  readonly seals: number;
  readonly opens: number;
  /** Attempts that the version's state forbade. */
  readonly refusals: number;
}

/** What the registry needs; a part of the engine. */
export interface KeysetRegistryOptions {
  readonly store: Store;
  readonly keks: KekRing;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/**
 * The keysets that this process has opened. Loads are single-flight and read committed rows only; {@link refresh} follows
 * changes of every process by the manifest generation and renews the lease.
 */
export class KeysetRegistry {
  readonly lease: Lease;
  readonly #options: KeysetRegistryOptions;
  readonly #aeadOptions: AeadOptions;
  readonly #loaded = new Map<string, Keyset>();
  readonly #loading = new Map<string, Promise<Keyset>>();
  readonly #holders = new Map<string, number>();
  readonly #meters = new Map<
    string,
    { readonly meter: SealMeter; readonly keyset: Keyset; readonly version: number; readonly datasetId: string }
  >();
  readonly #unreported = new Map<string, KeyUse>();
  #generation = -1;
  #refreshes = 0;
  #refreshing: Promise<void> | undefined;

  constructor(options: KeysetRegistryOptions) {
    this.#options = options;
    this.lease = new Lease(options.clock);
    this.#aeadOptions = { random: new RandomPool(options.random, options.clock), clock: options.clock };
  }

  /** How many refreshes succeeded; a label that is unknown before and after one is unknown for good. */
  get refreshes(): number {
    return this.#refreshes;
  }

  /** The keyset of a key id, loaded at most once at a time. @throws KeysteadError `UNKNOWN_KEY` */
  async get(keyId: string): Promise<Keyset> {
    if (!this.lease.holds()) await this.refresh();
    const loaded = this.#loaded.get(keyId);
    if (loaded !== undefined) {
      this.#loaded.delete(keyId);
      this.#loaded.set(keyId, loaded);
      return loaded;
    }
    let loading = this.#loading.get(keyId);
    if (loading === undefined) {
      loading = this.#load(keyId).finally(() => this.#loading.delete(keyId));
      this.#loading.set(keyId, loading);
    }
    return loading;
  }

  /** Keeps a keyset loaded and refreshed until {@link release}. */
  hold(keyId: string): void {
    this.#holders.set(keyId, (this.#holders.get(keyId) ?? 0) + 1);
  }

  release(keyId: string): void {
    const holders = (this.#holders.get(keyId) ?? 0) - 1;
    if (holders > 0) this.#holders.set(keyId, holders);
    else this.#holders.delete(keyId);
  }

  /** The meter that counts seals of a version for a dataset (empty: outside datasets). */
  meter(keyset: Keyset, version: number, datasetId: string): SealMeter {
    const name = `${keyset.id} ${String(version)} ${datasetId}`;
    const known = this.#meters.get(name);
    if (known !== undefined) return known.meter;
    const limit = keyset.algorithm.kind === "aead" ? keyset.algorithm.messageLimit : undefined;
    const meter = new SealMeter(this.#options.store, { keyId: keyset.id, version, datasetId }, limit);
    this.#meters.set(name, { meter, keyset, version, datasetId });
    return meter;
  }

  /** Learns of every change up to now and renews the lease. Single-flight: a call during a refresh waits for the next one. */
  async refresh(): Promise<void> {
    if (this.#refreshing !== undefined) await this.#refreshing.catch(() => undefined);
    this.#refreshing ??= this.#refreshNow().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Reads a key's rows in one snapshot and opens its keyset key. */
  async openKeysetKey(keyId: string): Promise<{ readonly records: KeysetRecords; readonly keysetKey: KeysetKey }> {
    const records = await this.#options.store.read((tables) => readKeyset(tables, keyId));
    return { records, keysetKey: await this.#unwrap(records.wraps) };
  }

  /** Writes use counts and gives unused seal leases back. */
  async flush(): Promise<void> {
    for (const { meter } of this.#meters.values()) await meter.flush();
    for (const keyset of this.#loaded.values()) await this.#flushUse(keyset);
  }

  /** Use of each key version since the last call, for the audit. */
  takeUse(): KeyUse[] {
    for (const { meter, keyset, version } of this.#meters.values()) {
      const seals = meter.takeUsed();
      if (seals > 0) this.#count(keyset, version, { seals });
    }
    const uses = [...this.#unreported.values()];
    this.#unreported.clear();
    return uses;
  }

  async #refreshNow(): Promise<void> {
    const start = this.lease.moment();
    const generation = await this.#options.store.generation();
    if (generation !== this.#generation) {
      for (const keyset of [...this.#loaded.values()]) {
        const records = await this.#options.store.read((tables) => readKeyset(tables, keyset.id));
        await this.#apply(keyset, records);
      }
      this.#generation = generation;
    }
    this.#evict();
    this.#refreshes += 1;
    this.lease.renew(start);
  }

  async #load(keyId: string): Promise<Keyset> {
    const records = await this.#options.store.read((tables) => readKeyset(tables, keyId));
    const keyset = new Keyset(records.key);
    await this.#apply(keyset, records);
    this.#loaded.set(keyId, keyset);
    return keyset;
  }

  async #apply(keyset: Keyset, records: KeysetRecords): Promise<void> {
    const { key, versions, wraps, settings } = records;
    const isNew = (row: StoredRecord<"versions">): boolean =>
      row.material !== null && keyset.byLabel(describeVersion(row).label) === undefined;
    const keysetKey = versions.some(isNew) ? await this.#unwrap(wraps) : undefined;
    const loaded = versions.map((row) => this.#loadVersion(keyset, key, row, keysetKey));
    keyset.apply(key.currentVersion, loaded, settings.restoredAt);
    this.#leaseAhead(keyset);
  }

  /** A published version gets its seals leased before it becomes current, so that no synchronous caller has to wait. */
  #leaseAhead(keyset: Keyset): void {
    const newest = keyset.byNumber(keyset.highestVersion);
    if (newest?.phase !== "active") return;
    const metered = [...this.#meters.values()].filter((entry) => entry.keyset.id === keyset.id);
    for (const datasetId of new Set(metered.map((entry) => entry.datasetId))) {
      this.meter(keyset, newest.version, datasetId)
        .prepare()
        .catch(() => undefined);
    }
  }

  #loadVersion(keyset: Keyset, key: StoredRecord<"keys">, row: StoredRecord<"versions">, keysetKey: KeysetKey | undefined): LoadedVersion {
    const { label, phase } = describeVersion(row);
    const { version, createdAt, expiresAt } = row;
    const known = keyset.byLabel(label);
    const usage = known?.usage ?? { opens: 0, refusals: 0, lastOpenedAt: 0, lastRefusedAt: 0 };
    const facts = { version, label, phase, createdAt, expiresAt, usage };
    if (row.material === null) return { ...facts, material: undefined, cipher: undefined };
    if (known?.material !== undefined) return { ...facts, material: known.material, cipher: known.cipher };
    if (keysetKey === undefined) throw new KeysteadError("INTERNAL", "a key version was loaded without its keyset key");
    const material = keysetKey.open(row.material, {
      keyId: key.id,
      version,
      usages: key.usages,
      algorithm: key.algorithm,
      format: row.materialFormat,
    });
    if (material.fingerprint(key.id, version) !== row.fingerprint) {
      throw new KeysteadError(
        "STORE_TAMPERED",
        `version ${label} of key ${key.name} does not have its fingerprint; restore the store from a backup`,
      );
    }
    const { algorithm } = keyset;
    const cipher =
      algorithm.kind === "aead"
        ? createVersionCipher(key.id, key.name, label, algorithm.createAead(material.key, this.#aeadOptions))
        : undefined;
    return { ...facts, material, cipher };
  }

  async #unwrap(wraps: readonly WrapRow[]): Promise<KeysetKey> {
    const bytes = await this.#options.keks.unwrap(wraps);
    try {
      return new KeysetKey(bytes, this.#options.random, this.#options.clock);
    } finally {
      bytes.fill(0);
    }
  }

  async #flushUse(keyset: Keyset): Promise<void> {
    const used = keyset.versions.filter(({ usage }) => usage.opens > 0 || usage.refusals > 0);
    if (used.length === 0) return;
    const taken = used.map(({ version, usage }) => ({ version, usage, opens: usage.opens, refusals: usage.refusals }));
    await this.#options.store.transaction(async (tables) => {
      for (const { version, usage, opens, refusals } of taken) {
        await addToCounter(
          tables,
          { keyId: keyset.id, version, datasetId: "" },
          {
            opens,
            refusals,
            ...(opens > 0 && { lastOpenedAt: usage.lastOpenedAt }),
            ...(refusals > 0 && { lastRefusedAt: usage.lastRefusedAt }),
          },
        );
      }
    });
    for (const { version, usage, opens, refusals } of taken) {
      usage.opens -= opens;
      usage.refusals -= refusals;
      this.#count(keyset, version, { opens, refusals });
    }
  }

  #count(keyset: Keyset, version: number, use: Partial<KeyUse>): void {
    const { label = String(version) } = keyset.byNumber(version) ?? {};
    const name = `${keyset.name}:${label}`;
    const before = this.#unreported.get(name) ?? { key: keyset.name, label, seals: 0, opens: 0, refusals: 0 };
    this.#unreported.set(name, {
      ...before,
      seals: before.seals + (use.seals ?? 0),
      opens: before.opens + (use.opens ?? 0),
      refusals: before.refusals + (use.refusals ?? 0),
    });
  }

  #evict(): void {
    for (const keyId of this.#loaded.keys()) {
      if (this.#loaded.size <= idleCapacity) return;
      if (!this.#holders.has(keyId)) this.#loaded.delete(keyId);
    }
  }
}

async function readKeyset(tables: StoreTables, keyId: string): Promise<KeysetRecords> {
  const key = await tables.keys.get({ id: keyId });
  if (key === undefined) throw new KeysteadError("UNKNOWN_KEY", "no key has this id; list the keys with `keystead keys list`");
  const versions = await tables.versions.list({ keyId });
  const wraps = await tables.wraps.list({ subject: keyId });
  return { key, versions, wraps, settings: await readSettings(tables) };
}
