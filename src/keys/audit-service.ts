import { assertArguments, bytes, callback, date, listOf, object, optional, type Shape, text } from "../arguments.ts";
import type { AuditTrail } from "../audit/event.ts";
import { type ExportParts, type ExportSummary, type WriteChunk, writeExport } from "../audit/export/write-export.ts";
import { FileTrail } from "../audit/file-trail.ts";
import { KeysteadError } from "../errors.ts";
import { enginePrincipal } from "../audit/journal.ts";
import { MemoryTrail, type MemoryTrailOptions } from "../audit/memory-trail.ts";
import { type AuditRecordView, NewestRecords, newestRecords } from "../audit/newest-records.ts";
import { type AuditCounts, AuditTally } from "../audit/report.ts";
import type { ReportRange } from "../audit/report-files.ts";
import type { AuditSinkConfig } from "../audit/sinks/audit-sink.ts";
import type { AuditProblem } from "../audit/audit-problem.ts";
import { AuditSinks } from "../audit/sinks/audit-sinks.ts";
import { createSinks } from "../audit/sinks/create-sinks.ts";
import type { Signer } from "../audit/signature.ts";
import { type AuditReport, verifyAudit } from "../audit/verify.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Store, StoreIdentity } from "../store/store.ts";
import type { ActTerms } from "./access/act-terms.ts";
import { asked } from "./audited.ts";
import { archiveAudit, type AuditArchiveOptions, type AuditArchiveReport, archivedCheckpoint } from "./audit-archive.ts";
import { type AuditFilter, auditFilterShape, checkFilter, isWanted } from "./audit-filter.ts";
import { type AuditPageFilter, type AuditRecordPage, formatCursor, largestPage, longestLook, parseCursor } from "./audit-page.ts";
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
  /** Where records go beside the store. */
  readonly sinks?: readonly AuditSinkConfig[];
}

/** Which records are exported: of each process those between its first ones of these instants. Absent: all. */
export interface AuditExportOptions {
  readonly since?: Date;
  readonly until?: Date;
}

const exportShape: Shape<AuditExportOptions> = { since: optional(date), until: optional(date) };

/** @throws KeysteadError `INVALID_ARGUMENT` */
function instantOf(instant: Date): number {
  const time = instant.getTime();
  if (Number.isNaN(time)) throw new KeysteadError("INVALID_ARGUMENT", "the dates of an audit export or report are valid");
  return time;
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
    const sinks = await AuditSinks.open(createSinks(options.sinks ?? []), pacing);
    const parts = { store, storeId: identity.id, clock: pacing, random, signer: () => signerNow(key), sinks };
    const archived = await store.read(archivedCheckpoint);
    const trail = await openTrail({ ...parts, ...(archived !== undefined && { archived }) }, directory);
    if (trail instanceof MemoryTrail) return new AuditService(options, trail, key);
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

  /** What keeps records from being answered, shipped or signed at the moment: journal, store and sinks, each with its cause. */
  get problems(): AuditProblem[] {
    return this.#trail.problems;
  }

  /**
   * Tries again what keeps records from being answered, once a second at most. Recording does that by itself; this is for a process that
   * nobody calls because it is not ready. Never throws: {@link problems} has what is left.
   */
  recover(): Promise<void> {
    return this.#trail.recover();
  }

  /** Records of this process that are durable in its journal and not in the store yet. */
  get lag(): number {
    return this.#trail instanceof FileTrail ? this.#trail.lag : 0;
  }

  /** Goes on with a store that was put back, once a person has decided so. */
  async acceptRestoredStore(): Promise<void> {
    await this.#ask("audit.accept-restored", {}, async () => {
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
    return this.#ask("audit.verify", options, () => this.#verify(options));
  }

  async #verify({ pinnedKeys }: { readonly pinnedKeys?: readonly Uint8Array[] }): Promise<StoreAuditReport> {
    const { store, identity, directory } = this.#options;
    const anchor = { storeId: identity.id, ...(pinnedKeys !== undefined && { pinnedKeys }) };
    const verifyBehind = (archived: string | undefined): Promise<AuditReport> =>
      verifyAudit({
        ...anchor,
        store,
        ...(archived !== undefined && { archived }),
        flush: () => this.#trail.flush(),
        findPublicKey: (signer) => store.read((tables) => findSignerKey(tables, signer)),
        ...(directory !== undefined && { directory }),
      });
    let archived = await store.read(archivedCheckpoint);
    let report = await verifyBehind(archived);
    // What another process archived meanwhile is not missing.
    for (let before = archived; report.findings.length > 0; before = archived) {
      archived = await store.read(archivedCheckpoint);
      if (archived === before) break;
      report = await verifyBehind(archived);
    }
    const { findings, certificates } = await store.read((tables) => verifyTombstones(tables, anchor));
    return { ...report, findings: [...report.findings, ...findings], certificates };
  }

  /**
   * Writes the audit as JSON lines that can be verified without this store (`verifyAuditExport`): every record that a checkpoint
   * covers, as it was written, the checkpoints and the public keys. What this process recorded is among them.
   * @param write takes the bytes chunk by chunk; what it returns is waited for
   * @throws KeysteadError `INVALID_ARGUMENT` for a date that is none, `AUDIT_UNAVAILABLE` while the audit key can't sign
   * @example
   * const out = createWriteStream("audit.jsonl", { mode: 0o600 });
   * const { closing } = await keystead.audit.export({ since: new Date("2027-01-01") }, (chunk) => void out.write(chunk));
   */
  async export(options: AuditExportOptions, write: WriteChunk): Promise<ExportSummary> {
    assertArguments({ options, write }, { options: object(exportShape), write: callback });
    const { since, until } = options;
    const range = { ...(since !== undefined && { since: instantOf(since) }), ...(until !== undefined && { until: instantOf(until) }) };
    return this.#ask("audit.export", options, async () => writeExport({ ...(await this.#exportParts()), ...range }, write));
  }

  /** The public keys that have signed checkpoints and certificates: keep them elsewhere than the store, and again after a rotation. */
  signers(): Promise<AuditSignerInfo[]> {
    return this.#ask("audit.verify", {}, () => this.#options.store.read(listSigners));
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
    return this.#ask("audit.query", filter, () => this.#show(filter));
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

  /**
   * Moves the oldest records from the store into a file that `verifyAuditExport` verifies. They are removed only once the file was read
   * back and is good; the act is recorded with the file's digest. {@link verify} says from where on the store has records.
   * @throws KeysteadError `INVALID_ARGUMENT` when there is nothing to archive, `CONFLICT` when the file is there or another archive
   *   ended meanwhile, `AUDIT_TAMPERED` when the records don't verify
   * @example
   * await keystead.audit.archive({ until: new Date("2027-01-01"), file: "/archive/audit-2026.jsonl" });
   */
  async archive(options: AuditArchiveOptions): Promise<AuditArchiveReport> {
    assertArguments({ options }, { options: object<AuditArchiveOptions>({ until: date, file: text, reason: optional(text) }) });
    instantOf(options.until);
    const { store } = this.#options;
    const by = this.#engine?.caller ?? { principal: enginePrincipal };
    return this.#ask("audit.archive", options, async () =>
      archiveAudit({ store, trail: this.trail, exported: await this.#exportParts(), by }, options),
    );
  }

  async #exportParts(): Promise<ExportParts> {
    const { store, identity, clock } = this.#options;
    await this.#trail.flush();
    const signer = signerNow(this.#key);
    if (signer === undefined) {
      throw new KeysteadError("AUDIT_UNAVAILABLE", "the audit key can't sign now, and an export is signed; see `keystead doctor`");
    }
    const { checkpoint: closing } = await this.#trail.newestPoint();
    const archived = await store.read(archivedCheckpoint);
    return {
      ...(archived !== undefined && { archived }),
      store,
      storeId: identity.id,
      signer,
      signers: await store.read(listSigners),
      takenAt: clock.now(),
      closing,
    };
  }

  /**
   * Counts the records of some time by action, key, principal and outcome, and everybody who acted. Reads from the newest on; keeps
   * names and numbers only.
   * @throws KeysteadError `INVALID_ARGUMENT` for a date that is none
   * @example
   * const { byKey, principals } = await keystead.audit.report({ from: new Date("2027-01-01"), to: new Date("2027-02-01") });
   */
  async report(range: ReportRange = {}): Promise<AuditCounts> {
    assertArguments({ range }, { range: object<ReportRange>({ from: optional(date), to: optional(date) }) });
    return this.#ask("audit.report", range, () => this.#report(range));
  }

  async #report(range: ReportRange): Promise<AuditCounts> {
    const since = range.from === undefined ? Number.NEGATIVE_INFINITY : instantOf(range.from);
    const until = range.to === undefined ? Number.POSITIVE_INFINITY : instantOf(range.to);
    await this.#trail.flush();
    const tally = new AuditTally();
    for await (const { time, record } of newestRecords(this.#options.store, await this.#trail.newestPoint())) {
      if (time < since) break;
      if (time >= until) continue;
      if (record["action"] === undefined) tally.addBadLine();
      else tally.add(record);
    }
    return tally.counts();
  }

  /**
   * The newest records that fit, newest first, page by page: at most 1,000 (default 100), of at most 20,000 that are looked at.
   * @throws KeysteadError `INVALID_ARGUMENT` for a limit, a date or a cursor that is none
   * @example
   * const { records, next } = await keystead.audit.page({ principal: "os-user:anna", outcome: "denied" });
   * const older = next && (await keystead.audit.page({ principal: "os-user:anna", outcome: "denied", after: next }));
   */
  async page(filter: AuditPageFilter = {}): Promise<AuditRecordPage> {
    assertArguments({ filter }, { filter: object<AuditPageFilter>({ ...auditFilterShape, after: optional(text) }) });
    return this.#ask("audit.query", filter, () => this.#page(filter));
  }

  async #page({ after, ...wanted }: AuditPageFilter): Promise<AuditRecordPage> {
    const { limit, since, until } = checkFilter(wanted);
    if (limit > largestPage)
      throw new KeysteadError("INVALID_ARGUMENT", `a page has at most ${String(largestPage)} records; ask for several`);
    const { store } = this.#options;
    if (after === undefined) await this.#trail.flush();
    const reading =
      after === undefined
        ? await NewestRecords.from(store, await this.#trail.newestPoint())
        : await NewestRecords.behind(store, parseCursor(after));
    const records: AuditRecordView[] = [];
    for (let looked = 0; looked < longestLook && records.length < limit; looked++) {
      const next = await reading.next();
      if (next === undefined || next.time < since) return { records, next: undefined };
      if (next.time < until && isWanted(next.record, wanted)) records.push(next.record);
    }
    return { records, next: formatCursor(reading.cursor) };
  }

  #ask<T>(action: string, terms: ActTerms, work: () => Promise<T>): Promise<T> {
    return this.#engine === undefined ? work() : asked(this.#engine, { action, terms }, work);
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

async function openTrail(
  parts: MemoryTrailOptions & { readonly sinks: AuditSinks; readonly archived?: string },
  directory: string | undefined,
): Promise<FileTrail | MemoryTrail> {
  try {
    return directory === undefined ? await MemoryTrail.open(parts) : await FileTrail.open({ ...parts, directory });
  } catch (error) {
    await parts.sinks.close();
    throw error;
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
