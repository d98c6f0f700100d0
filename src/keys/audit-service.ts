import { assertArguments, bytes, listOf, object, optional } from "../arguments.ts";
import type { AuditTrail } from "../audit/event.ts";
import { FileTrail } from "../audit/file-trail.ts";
import { enginePrincipal } from "../audit/journal.ts";
import { MemoryTrail } from "../audit/memory-trail.ts";
import { type AuditRecordView, newestRecords } from "../audit/newest-records.ts";
import type { Signer } from "../audit/signature.ts";
import { type AuditReport, verifyAudit } from "../audit/verify.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Store, StoreIdentity } from "../store/store.ts";
import { asked } from "./audited.ts";
import { type AuditFilter, auditFilterShape, checkFilter, isWanted } from "./audit-filter.ts";
import { type AuditSignerInfo, currentSigner, findSignerKey, listSigners, openAuditKey } from "./audit-signer.ts";
import type { Engine } from "./engine.ts";
import type { KeyHandle } from "./key-handle.ts";
import type { KeysetRegistry } from "./keyset-registry.ts";
import { readSettings, writeSetting } from "./settings.ts";
import { verifyTombstones } from "./verify-tombstones.ts";

/** What the audit of a process stands on. */
export interface AuditServiceOptions {
  readonly store: Store;
  readonly registry: KeysetRegistry;
  readonly identity: StoreIdentity;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Folder of the journal; absent: the records go straight to the store. */
  readonly directory?: string;
}

/** What a verification of a store's audit found, certificates included. */
export interface StoreAuditReport extends AuditReport {
  /** Destruction certificates in the store. */
  readonly certificates: number;
}

/** The audit of this process: a durable trail for every service, and its verification. */
export class AuditService {
  /** Where services record. */
  readonly trail: AuditTrail;
  readonly #options: AuditServiceOptions;
  readonly #trail: FileTrail | MemoryTrail;
  readonly #key: KeyHandle;
  readonly #engine: Engine | undefined;

  private constructor(options: AuditServiceOptions, trail: FileTrail | MemoryTrail, key: KeyHandle, engine?: Engine) {
    this.#options = options;
    this.#engine = engine;
    this.#trail = trail;
    this.trail = trail;
    this.#key = key;
  }

  /**
   * Starts the trail and takes over what killed processes left. A store that is older than its newest checkpoint was put
   * back from a copy: that is written down, and keys with counted nonces seal nothing until they are rotated.
   * @throws KeysteadError `AUDIT_UNAVAILABLE`, `INSECURE_FILE`
   */
  static async open(options: AuditServiceOptions): Promise<AuditService> {
    const { store, identity, clock, random, directory } = options;
    const key = await openAuditKey(options);
    // The journal's pauses are real: an injected clock dates the records, but does not make a second pass at once.
    const pacing: Clock = { now: () => clock.now(), monotonic: () => clock.monotonic(), wait: (...pause) => systemClock.wait(...pause) };
    const parts = { store, storeId: identity.id, clock: pacing, random, signer: () => signerNow(key) };
    if (directory === undefined) return new AuditService(options, await MemoryTrail.open(parts), key);
    const trail = await FileTrail.open({ ...parts, directory });
    try {
      await noticeRestore(store, clock, identity, trail);
    } catch (error) {
      await trail.close();
      throw error;
    }
    return new AuditService(options, trail, key);
  }

  /** An audit for who asks by this engine: its access control is asked, and its served calls are recorded. */
  static boundTo(engine: Engine, audit: AuditService): AuditService {
    return new AuditService(audit.#options, audit.#trail, audit.#key, engine);
  }

  /** What the newest checkpoint on this host says against the store; undefined when they agree. */
  get witnessProblem(): string | undefined {
    return this.#trail instanceof FileTrail ? this.#trail.witness.problem : undefined;
  }

  /** Why lines can't be shipped or signed at the moment; undefined when they can. */
  get problem(): unknown {
    return this.#trail instanceof FileTrail ? this.#trail.problem : undefined;
  }

  /** Records of this process that are durable in its journal and not in the store yet. */
  get lag(): number {
    return this.#trail instanceof FileTrail ? this.#trail.lag : 0;
  }

  /** Goes on with a store that was put back, once a person has decided so. */
  async acceptRestoredStore(): Promise<void> {
    await this.#ask("audit.accept-restored", async () => {
      if (this.#trail instanceof FileTrail) await this.#trail.acceptWitness();
    });
  }

  /** Ships what is durable and signs a checkpoint now. */
  async flush(): Promise<void> {
    await this.#trail.flush();
  }

  /**
   * Checks every chain, checkpoint, destruction certificate and signature.
   * @param pinnedKeys SPKI DER of the only keys that may have signed, from elsewhere than the store: one for each version that the
   *   audit key has had, see {@link signers}
   * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned or one is no public key
   */
  async verify(options: { readonly pinnedKeys?: readonly Uint8Array[] } = {}): Promise<StoreAuditReport> {
    assertArguments({ options }, { options: object<typeof options>({ pinnedKeys: optional(listOf(bytes)) }) });
    return this.#ask("audit.verify", () => this.#verify(options));
  }

  async #verify({ pinnedKeys }: { readonly pinnedKeys?: readonly Uint8Array[] }): Promise<StoreAuditReport> {
    const { store, identity, directory } = this.#options;
    const anchor = { storeId: identity.id, ...(pinnedKeys !== undefined && { pinnedKeys }) };
    const report = await verifyAudit({
      ...anchor,
      store,
      flush: () => this.#trail.flush(),
      findPublicKey: (signer) => store.read((tables) => findSignerKey(tables, signer)),
      ...(directory !== undefined && { directory }),
    });
    const { findings, certificates } = await store.read((tables) => verifyTombstones(tables, anchor));
    return { ...report, findings: [...report.findings, ...findings], certificates };
  }

  /** The public keys that have signed checkpoints and certificates: keep them elsewhere than the store, and again after a rotation. */
  signers(): Promise<AuditSignerInfo[]> {
    return this.#ask("audit.verify", () => this.#options.store.read(listSigners));
  }

  /**
   * The newest records that fit, oldest first. What this process recorded is among them; other processes hand over theirs
   * within a second. Reads from the newest on until it has enough.
   * @throws KeysteadError `INVALID_ARGUMENT` for a limit or a date that is none
   * @example
   * const refused = await keystead.audit.show({ failed: true, since: new Date("2027-01-31") });
   */
  async show(filter: AuditFilter = {}): Promise<AuditRecordView[]> {
    assertArguments({ filter }, { filter: object(auditFilterShape) });
    return this.#ask("audit.query", () => this.#show(filter));
  }

  async #show(filter: AuditFilter): Promise<AuditRecordView[]> {
    const { limit, since, until } = checkFilter(filter);
    await this.#trail.flush();
    const found: AuditRecordView[] = [];
    for await (const { time, record } of newestRecords(this.#options.store, await this.#trail.newestPoint())) {
      if (time < since) break;
      if (time < until && isWanted(record, filter)) found.push(record);
      if (found.length === limit) break;
    }
    return found.reverse();
  }

  #ask<T>(action: string, work: () => Promise<T>): Promise<T> {
    return this.#engine === undefined ? work() : asked(this.#engine, { action }, work);
  }

  /** Ends the trail. Checkpoints are signed no more. */
  async close(): Promise<void> {
    try {
      await this.#trail.close();
    } finally {
      await this.#key.close();
    }
  }
}

/** Setting that holds the checkpoint by which a restore was noticed last. */
const noticedCheckpoint = "restoredCheckpoint";

/**
 * A store that does not know the newest checkpoint of this host, or is older than it, was put back from a copy: its counters may
 * be, too. That is written down once for each checkpoint; versions that are in the store then don't seal with counted nonces.
 */
async function noticeRestore(store: Store, clock: Clock, identity: StoreIdentity, trail: FileTrail): Promise<void> {
  const { witness, problem } = trail.witness;
  if (problem === undefined || witness?.store !== identity.id) return;
  const noticed = await store.read((tables) => tables.settings.get({ name: noticedCheckpoint }));
  if (noticed?.value === witness.checkpoint) return;
  await store.raiseGeneration(witness.generation);
  await store.transaction(async (tables) => {
    const { restoredAt } = await readSettings(tables);
    const newest = Math.max(0, ...(await tables.versions.list()).map((version) => version.createdAt));
    await writeSetting(tables, "restoredAt", Math.max(restoredAt, newest, clock.now()));
    const stored = await tables.settings.get({ name: noticedCheckpoint });
    const value = witness.checkpoint;
    if (stored === undefined) await tables.settings.insert({ name: noticedCheckpoint, value });
    else await tables.settings.update({ ...stored, value });
  });
  const detail = { generation: witness.generation, checkpoint: witness.checkpoint };
  await trail.record({ action: "store.notice-restore", outcome: "allowed", principal: enginePrincipal, detail });
}

/** No checkpoint is signed while the key can't be used; records stay safe in the journal. */
function signerNow(key: KeyHandle): Signer | undefined {
  try {
    return currentSigner(key);
  } catch {
    return undefined;
  }
}
