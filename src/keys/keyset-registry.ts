import type { AeadOptions } from "../crypto/aead.ts";
import { RandomPool } from "../crypto/random.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import type { Engine } from "./engine.ts";
import type { WrapRow } from "./kek-ring.ts";
import { unknownKeyId } from "./key-records.ts";
import { unwrapKeysetKey } from "./keyset-key.ts";
import { createVersionCipher, describeVersion, Keyset, type KeysetRows, type LoadedVersion, type OpenedVersion } from "./keyset.ts";
import { Lease } from "./lease.ts";
import type { SealMeter } from "./seal-meter.ts";
import type { KeysetKey } from "./sealed-material.ts";
import { readHistory } from "./store-history.ts";
import { UseCounts } from "./use-counts.ts";

/** Keys that are kept loaded while no handle holds them: how many, and for how many milliseconds since they were asked for. */
const idleKeys = { count: 1000, milliseconds: 600_000 } as const;

/** Milliseconds before a KEK that failed is asked again for material that is missing. */
const retryInterval = 5_000;

/** How often a load starts again because metadata changed while a KEK was asked. */
const loadAttempts = 5;

/** What the registry needs; a part of the engine. */
export type KeysetRegistryOptions = Pick<Engine, "store" | "keks" | "clock" | "random">;

const neverRead = -1;

/** Open handles of a key for a dataset, and whether they seal. */
interface Holders {
  readonly handles: number;
  readonly seal: boolean;
  /** Versions that they make counted tokens with. */
  readonly indexed: ReadonlySet<number>;
}

const noHolders: Holders = { handles: 0, seal: false, indexed: new Set() };

interface Entry {
  readonly keyset: Keyset;
  /** Revision of the store whose rows the keyset has, or an earlier one. */
  revision: number;
  /** When it was last asked for, by the monotonic clock. */
  readonly usedAt: number;
}

/**
 * The keysets that this process has opened. Loads are single-flight and read committed rows only; {@link refresh} follows
 * changes of every process by the store's revision and renews the lease. What rows alone say (a suspension, a moved
 * pointer) is taken over at once: a KEK that is slow or gone delays nothing but the material that only it can open.
 */
export class KeysetRegistry {
  readonly lease: Lease;
  readonly counts: UseCounts;
  readonly #options: KeysetRegistryOptions;
  readonly #aeadOptions: AeadOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<Keyset>>();
  readonly #completing = new Map<string, Promise<void>>();
  /** Open handles by key and dataset. */
  readonly #holders = new Map<string, Map<string, Holders>>();
  #refreshes = 0;
  #revision = neverRead;
  #following: Promise<readonly Entry[]> | undefined;
  #completedAt = Number.NEGATIVE_INFINITY;

  constructor(options: KeysetRegistryOptions) {
    this.#options = options;
    this.lease = new Lease(options.clock);
    this.counts = new UseCounts(options.store);
    this.#aeadOptions = { random: new RandomPool(options.random, options.clock), clock: options.clock };
  }

  /** How many refreshes succeeded; a label that is unknown before and after one is unknown for good. */
  get refreshes(): number {
    return this.#refreshes;
  }

  /** The store's revision at the last refresh. */
  get revision(): number {
    return this.#revision;
  }

  /** True when somebody was refused a version since the last flush. */
  get refused(): boolean {
    for (const { keyset } of this.#entries.values()) if (keyset.refused) return true;
    return false;
  }

  /** The keyset of a key id, loaded at most once at a time. @throws KeysteadError `UNKNOWN_KEY`, `CLOSED`, KEK errors */
  async get(keyId: string): Promise<Keyset> {
    if (!this.lease.holds()) await this.refresh();
    this.lease.check();
    const entry = this.#entries.get(keyId);
    if (entry !== undefined) {
      this.#enter(entry.keyset, entry.revision);
      return entry.keyset;
    }
    let loading = this.#loading.get(keyId);
    if (loading === undefined) {
      loading = this.#load(keyId).finally(() => this.#loading.delete(keyId));
      this.#loading.set(keyId, loading);
    }
    return loading;
  }

  /** Keeps a keyset loaded and refreshed until {@link release}. Returns the one that is. */
  hold(keyset: Keyset, datasetId: string): Keyset {
    const held = this.#entries.get(keyset.id)?.keyset ?? keyset;
    if (!this.#entries.has(keyset.id)) this.#enter(keyset, neverRead);
    const datasets = this.#holders.get(keyset.id) ?? new Map<string, Holders>();
    const holders = datasets.get(datasetId) ?? noHolders;
    datasets.set(datasetId, { ...holders, handles: holders.handles + 1 });
    this.#holders.set(keyset.id, datasets);
    return held;
  }

  release(keyset: Keyset, datasetId: string): void {
    const datasets = this.#holders.get(keyset.id);
    const holders = datasets?.get(datasetId);
    if (datasets === undefined || holders === undefined) return;
    if (holders.handles > 1) datasets.set(datasetId, { ...holders, handles: holders.handles - 1 });
    else datasets.delete(datasetId);
    if (datasets.size === 0) this.#holders.delete(keyset.id);
  }

  /** The meter of a held keyset's version; from then on its later versions get seals leased, too. */
  meter(keyset: Keyset, version: LoadedVersion, datasetId: string): SealMeter {
    const datasets = this.#holders.get(keyset.id);
    const holders = datasets?.get(datasetId);
    if (holders !== undefined) datasets?.set(datasetId, { ...holders, seal: true });
    return this.counts.meter(keyset, version, datasetId);
  }

  /**
   * The meter of tokens that are made outside datasets with a version of a held keyset, which need not be current. From then on the
   * version keeps a lease while the keyset is held.
   */
  tokenMeter(keyset: Keyset, version: LoadedVersion): SealMeter {
    const datasets = this.#holders.get(keyset.id);
    const holders = datasets?.get("");
    if (holders !== undefined) datasets?.set("", { ...holders, indexed: new Set([...holders.indexed, version.version]) });
    const meter = this.counts.meter(keyset, version, "");
    meter.prepareSoon();
    return meter;
  }

  /** Leases tokens outside datasets for the versions that make some, or have made some in whatever process. @throws what the store says */
  async prepareTokens(keyset: Keyset): Promise<void> {
    const counted = await this.#options.store.read((tables) => tables.counters.list({ keyId: keyset.id, datasetId: "" }));
    const indexed = this.#holders.get(keyset.id)?.get("")?.indexed ?? [];
    const numbers = new Set([...indexed, ...counted.filter(({ seals }) => seals > 0).map(({ version }) => version)]);
    const versions = keyset.versions.filter(({ version }) => numbers.has(version) && keyset.indexesWith(version));
    await Promise.all(versions.map((version) => this.counts.meter(keyset, version, "").prepare()));
  }

  /**
   * Learns of every change up to now, renews the lease, opens new versions and leases their seals. Single-flight: a call
   * during a refresh waits for the next one. A KEK that fails is no failure of the refresh: its versions stay not loaded.
   * @throws what the store says
   */
  async refresh(): Promise<void> {
    await this.#follow();
    await Promise.all([this.#complete([...this.#entries.values()]), this.#leaseAhead([...this.#entries.values()])]);
  }

  /** As {@link refresh}, but waits for the store alone. For the loop that keeps the lease. Returns whether metadata changed. */
  async follow(): Promise<boolean> {
    const changed = await this.#follow();
    void this.#leaseAhead(changed);
    const retry = this.#options.clock.monotonic() - this.#completedAt >= retryInterval;
    void this.#complete(retry ? [...this.#entries.values()] : changed);
    return changed.length > 0;
  }

  /** Writes use counts, and gives leases back that no handle seals with any more. */
  flush(): Promise<void> {
    const keysets = [...this.#entries.values()].map(({ keyset }) => keyset);
    return this.counts.flush(keysets, ({ keyId, version, datasetId }) => {
      const holders = this.#holders.get(keyId)?.get(datasetId);
      const keyset = this.#entries.get(keyId)?.keyset;
      return holders !== undefined && keyset !== undefined && (keyset.sealsWith(version) || makesTokens(keyset, holders, version));
    });
  }

  /** Ends the lease for good: every handle refuses from now on. Writes the last counts and gives every lease of seals back. */
  end(): Promise<void> {
    this.lease.end();
    this.#holders.clear();
    return this.flush();
  }

  async #follow(): Promise<readonly Entry[]> {
    if (this.#following !== undefined) await this.#following.catch(() => undefined);
    this.#following ??= this.#followNow().finally(() => {
      this.#following = undefined;
    });
    return this.#following;
  }

  async #followNow(): Promise<readonly Entry[]> {
    const { store } = this.#options;
    const start = this.lease.moment();
    const revision = await store.revision();
    this.#revision = revision;
    const behind = [...this.#entries.values()].filter((entry) => entry.revision !== revision);
    if (behind.length > 0) {
      const rows = await store.read((tables) => readRows(tables, behind));
      for (const [entry, current] of rows) {
        entry.keyset.apply(current);
        entry.revision = revision;
      }
    }
    this.#evict();
    this.#refreshes += 1;
    this.lease.renew(start);
    return behind;
  }

  async #load(keyId: string): Promise<Keyset> {
    const { store } = this.#options;
    let keyset: Keyset | undefined;
    let revision = neverRead;
    // What changed while a KEK was asked would be missed: a refresh follows only what is entered.
    for (let attempt = 0; attempt < loadAttempts; attempt += 1) {
      revision = await store.revision();
      const { rows, wraps } = await store.read((tables) => readKeyset(tables, keyId));
      if (keyset === undefined) keyset = new Keyset(rows);
      else keyset.apply(rows);
      await this.#open(keyset, rows, wraps);
      if ((await store.revision()) === revision) break;
    }
    if (keyset === undefined) throw unknownKeyId();
    this.#enter(keyset, revision);
    return keyset;
  }

  #enter(keyset: Keyset, revision: number): void {
    this.#entries.delete(keyset.id);
    this.#entries.set(keyset.id, { keyset, revision, usedAt: this.#options.clock.monotonic() });
  }

  /** Opens what is stored and not opened yet. Never rejects: a version that can't be opened says so when it is used. */
  async #complete(entries: readonly Entry[]): Promise<void> {
    this.#completedAt = this.#options.clock.monotonic();
    const incomplete = entries.filter(({ keyset }) => keyset.missing.length > 0);
    await Promise.all(
      incomplete.map(({ keyset }) => {
        const completing = this.#completing.get(keyset.id) ?? this.#completeOne(keyset).finally(() => this.#completing.delete(keyset.id));
        this.#completing.set(keyset.id, completing);
        return completing;
      }),
    );
  }

  async #completeOne(keyset: Keyset): Promise<void> {
    try {
      const { rows, wraps } = await this.#options.store.read((tables) => readKeyset(tables, keyset.id));
      await this.#open(keyset, rows, wraps);
      keyset.problem = undefined;
    } catch (error) {
      keyset.problem = error;
    }
  }

  async #open(keyset: Keyset, { key, versions }: KeysetRows, wraps: readonly WrapRow[]): Promise<void> {
    const missing = new Set(keyset.missing);
    const rows = versions.filter((row) => missing.has(describeVersion(row).label));
    if (rows.length === 0) return;
    const keysetKey = await unwrapKeysetKey(this.#options, wraps);
    const opened = rows.map((row): [string, OpenedVersion] => this.#openVersion(keyset, key, row, keysetKey));
    keyset.admit(new Map(opened));
  }

  #openVersion(
    keyset: Keyset,
    key: StoredRecord<"keys">,
    row: StoredRecord<"versions">,
    keysetKey: KeysetKey,
  ): [label: string, opened: OpenedVersion] {
    const { label } = describeVersion(row);
    const { version, materialFormat: format, fingerprint, material: sealed } = row;
    if (sealed === null) throw new KeysteadError("INTERNAL", "a destroyed version was to be opened");
    const material = keysetKey.open(sealed, { keyId: key.id, version, usages: key.usages, algorithm: key.algorithm, format });
    if (material.fingerprint(key.id, version) !== fingerprint) {
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
    return [label, { material, cipher }];
  }

  /**
   * A published version gets its seals leased before it becomes current, so that no synchronous caller has to wait. Never
   * rejects: a meter that has no lease says why when it is used.
   */
  async #leaseAhead(entries: readonly Entry[]): Promise<void> {
    const leases = entries.flatMap(({ keyset }) => {
      const held = [...(this.#holders.get(keyset.id) ?? [])].filter(([, { seal, indexed }]) => seal || indexed.size > 0);
      return held.flatMap(([datasetId, holders]) =>
        keyset.versions
          .filter(({ version }) => (holders.seal && keyset.sealsWith(version)) || makesTokens(keyset, holders, version))
          .map((version) => this.counts.meter(keyset, version, datasetId).prepare()),
      );
    });
    await Promise.allSettled(leases);
  }

  #evict(): void {
    const idleSince = this.#options.clock.monotonic() - idleKeys.milliseconds;
    for (const [keyId, { keyset, usedAt }] of this.#entries) {
      if (this.#entries.size <= idleKeys.count && usedAt > idleSince) return;
      if (!this.#holders.has(keyId) && !keyset.used) this.#entries.delete(keyId);
    }
  }
}

function makesTokens(keyset: Keyset, { indexed }: Holders, version: number): boolean {
  return indexed.has(version) && keyset.indexesWith(version);
}

async function readKeyset(tables: StoreTables, keyId: string): Promise<{ readonly rows: KeysetRows; readonly wraps: readonly WrapRow[] }> {
  const key = await tables.keys.get({ id: keyId });
  if (key === undefined) throw unknownKeyId();
  const rows = { key, versions: await tables.versions.list({ keyId }), history: await readHistory(tables) };
  return { rows, wraps: await tables.wraps.list({ subject: keyId }) };
}

async function readRows(tables: StoreTables, entries: readonly Entry[]): Promise<[Entry, KeysetRows][]> {
  const history = await readHistory(tables);
  const found: [Entry, KeysetRows][] = [];
  for (const entry of entries) {
    const { id } = entry.keyset;
    const key = await tables.keys.get({ id });
    if (key === undefined) throw unknownKeyId();
    found.push([entry, { key, versions: await tables.versions.list({ keyId: id }), history }]);
  }
  return found;
}
