import type { AccessControl } from "../access/access-control.ts";
import type { Caller } from "../access/caller.ts";
import type { AuditEvent, AuditTrail } from "../audit/event.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { BackgroundJobs, type JobRuns } from "../datasets/background-jobs.ts";
import type { Codecs } from "../datasets/codecs.ts";
import type { Databases } from "../datasets/databases.ts";
import { DatasetGate } from "../datasets/dataset-gate.ts";
import { DatasetService } from "../datasets/dataset-service.ts";
import { ServedDatasets } from "../datasets/served-datasets.ts";
import { JobService } from "../datasets/job-service.ts";
import type { Background } from "../keys/background.ts";
import { ApprovalService } from "../keys/access/approval-service.ts";
import { PolicyService } from "../keys/access/policy-service.ts";
import { PrincipalService } from "../keys/access/principal-service.ts";
import { TokenService } from "../keys/access/token-service.ts";
import { type CallerInfo, whoami } from "../keys/access/whoami.ts";
import { AuditService } from "../keys/audit-service.ts";
import {
  type CipherOptions,
  CipherService,
  type DecryptItem,
  type EncryptItem,
  type OpenedItem,
  type RewrapItem,
  type RewrapOptions,
  type SealOptions,
} from "../keys/cipher-service.ts";
import type { ItemProblem } from "../keys/data-acts.ts";
import { DataKeyService } from "../keys/data-key-service.ts";
import type { Engine } from "../keys/engine.ts";
import type { HandlePool } from "../keys/handle-pool.ts";
import { type HashItem, type HashName, KeylessService, type RandomItem } from "../keys/keyless-service.ts";
import type { KeyHandle } from "../keys/key-handle.ts";
import { KeyService } from "../keys/key-service.ts";
import type { KeyTarget } from "../keys/key-target.ts";
import { KekService } from "../keys/kek-service.ts";
import { LeaseService } from "../keys/lease-service.ts";
import { type MacItem, MacService, type VerifyMacItem } from "../keys/mac-service.ts";
import { PurposeService } from "../keys/purpose-service.ts";
import { type Revealed, type RevealItem, type RevealOptions, type RevealReason, RevealService } from "../keys/reveal-service.ts";
import type { MetricsCollector } from "../observer.ts";
import { RouteService } from "../keys/route-service.ts";
import { SettingsService } from "../keys/settings-service.ts";
import { MetricsService } from "./metrics-service.ts";
import { Doctor } from "./doctor.ts";

/** What the services of every caller share. */
export interface ViewParts {
  readonly engine: Engine;
  readonly pool: HandlePool;
  readonly databases: Databases;
  readonly codecs: Codecs;
  readonly audit: AuditService;
  readonly background: Background;
  readonly jobRuns: JobRuns;
  /** Absent: nothing is counted here. */
  readonly metrics?: MetricsCollector;
}

/** Services of a view that were asked for. Made when they are: a served call needs one or two, and all of them cost as much as the call. */
interface Services {
  keys?: KeyService;
  purposes?: PurposeService;
  routes?: RouteService;
  keks?: KekService;
  settings?: SettingsService;
  datasets?: DatasetService;
  jobs?: JobService;
  backgroundJobs?: BackgroundJobs;
  dataKeys?: DataKeyService;
  leases?: LeaseService;
  metrics?: MetricsService;
  doctor?: Doctor;
  policies?: PolicyService;
  principals?: PrincipalService;
  tokens?: TokenService;
  approvals?: ApprovalService;
  audit?: AuditService;
  ciphers?: CipherService;
  reveals?: RevealService;
  macs?: MacService;
  keyless?: KeylessService;
}

/** The engine as one caller may use it: every service asks access control for that caller, and records in its name. */
export class KeysteadView {
  readonly #parts: ViewParts;
  readonly #services: Services = {};

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  get keys(): KeyService {
    return (this.#services.keys ??= new KeyService(this.#parts.engine, new DatasetGate(this.#parts.engine, this.#parts.databases)));
  }

  get purposes(): PurposeService {
    return (this.#services.purposes ??= new PurposeService(this.#parts.engine));
  }

  get routes(): RouteService {
    return (this.#services.routes ??= new RouteService(this.#parts.engine));
  }

  get keks(): KekService {
    return (this.#services.keks ??= new KekService(this.#parts.engine));
  }

  get settings(): SettingsService {
    return (this.#services.settings ??= new SettingsService(this.#parts.engine));
  }

  get datasets(): DatasetService {
    const { engine, databases, codecs } = this.#parts;
    const Datasets = engine.caller.request === undefined ? DatasetService : ServedDatasets;
    return (this.#services.datasets ??= new Datasets(engine, databases, codecs));
  }

  get jobs(): JobService {
    return (this.#services.jobs ??= new JobService(this.#parts.engine, this.#parts.databases, this.#parts.codecs));
  }

  get backgroundJobs(): BackgroundJobs {
    return (this.#services.backgroundJobs ??= new BackgroundJobs(
      this.#parts.engine,
      this.#parts.databases,
      this.#parts.codecs,
      this.#parts.jobRuns,
    ));
  }

  get dataKeys(): DataKeyService {
    return (this.#services.dataKeys ??= new DataKeyService(this.#parts.engine, this.#parts.pool));
  }

  get leases(): LeaseService {
    return (this.#services.leases ??= new LeaseService(this.#parts.engine));
  }

  get metrics(): MetricsService {
    return (this.#services.metrics ??= new MetricsService(this.#parts.engine, this.#parts.metrics));
  }

  get policies(): PolicyService {
    return (this.#services.policies ??= new PolicyService(this.#parts.engine));
  }

  get principals(): PrincipalService {
    return (this.#services.principals ??= new PrincipalService(this.#parts.engine));
  }

  get tokens(): TokenService {
    return (this.#services.tokens ??= new TokenService(this.#parts.engine));
  }

  get approvals(): ApprovalService {
    return (this.#services.approvals ??= new ApprovalService(this.#parts.engine));
  }

  get audit(): AuditService {
    return (this.#services.audit ??= AuditService.boundTo(this.#parts.engine, this.#parts.audit));
  }

  get #ciphers(): CipherService {
    return (this.#services.ciphers ??= new CipherService(this.#parts.engine, this.#parts.pool));
  }

  get #reveals(): RevealService {
    return (this.#services.reveals ??= new RevealService(this.#parts.engine, this.#parts.pool));
  }

  get #macs(): MacService {
    return (this.#services.macs ??= new MacService(this.#parts.engine, this.#parts.pool));
  }

  get #keyless(): KeylessService {
    return (this.#services.keyless ??= new KeylessService(this.#parts.engine));
  }

  /** Looks for everything that is wrong. */
  get doctor(): Doctor {
    return (this.#services.doctor ??= new Doctor(this.#parts));
  }

  /** Whom the engine takes this caller for: everybody who is known may ask. @throws KeysteadError `ACCESS_DENIED` for who is disabled */
  whoami(): Promise<CallerInfo> {
    return whoami(this.#parts.engine);
  }

  /**
   * Opens a key, or the default key of a purpose, for synchronous use on hot paths. The opening is audited, its use is counted.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `UNKNOWN_DATASET`, `KEK_FAILED`, `WRONG_MASTER_KEY`
   * @example
   * const key = await keystead.open("pii-email");
   * key.decryptText(sealed, { table: "person", column: "email" });
   */
  open(target: KeyTarget, options?: { readonly dataset?: string }): Promise<KeyHandle> {
    return this.#ciphers.open(target, options);
  }

  /**
   * Seals text or bytes under the current version, as text: `ks1:<key>:<label>:<payload>`.
   * @throws KeysteadError as {@link open}; `INVALID_ARGUMENT`, `KEY_STATE`, `KEY_USAGE`, `KEY_VERSION_EXPIRED`,
   *   `KEY_BUDGET_EXHAUSTED`, `STORE_RESTORED`
   * @example
   * const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
   */
  encrypt(target: KeyTarget, plaintext: string | Uint8Array, options?: SealOptions): Promise<string> {
    return this.#ciphers.encrypt(target, plaintext, options);
  }

  /** As {@link encrypt}, in the binary form: `ks1b:…` and raw bytes. @throws KeysteadError as {@link encrypt} */
  encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, options?: SealOptions): Promise<Buffer> {
    return this.#ciphers.encryptBytes(target, plaintext, options);
  }

  /**
   * Seals a value together with its type, as text.
   * @throws KeysteadError as {@link encrypt}
   * @example
   * await keystead.decryptValue(await keystead.encryptValue("pii-birth", new Date("1990-05-17"))); // a Date again
   */
  encryptValue(target: KeyTarget, value: FieldValue, options?: SealOptions): Promise<string> {
    return this.#ciphers.encryptValue(target, value, options);
  }

  /**
   * Opens what {@link encrypt} or {@link encryptBytes} made; the ciphertext names its key.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT`, `UNKNOWN_KEY`, `UNKNOWN_FINGERPRINT`, `KEY_STATE`; `DECRYPTION_FAILED` for
   *   everything that does not open, without a reason
   */
  decrypt(sealed: string | Uint8Array, options?: CipherOptions): Promise<Buffer> {
    return this.#ciphers.decrypt(sealed, options);
  }

  /**
   * As {@link decrypt}, for text.
   * @throws KeysteadError as {@link decrypt}; `DECRYPTION_FAILED` with a message of its own for what opens to bytes that are not UTF-8
   * @example
   * await keystead.decryptText(sealed, { context: { table: "person", column: "email" } }); // "anna@example.org"
   */
  decryptText(sealed: string | Uint8Array, options?: CipherOptions): Promise<string> {
    return this.#ciphers.decryptText(sealed, options);
  }

  /** Opens what {@link encryptValue} made, with its type. @throws KeysteadError as {@link decrypt} */
  decryptValue(sealed: string | Uint8Array, options?: CipherOptions): Promise<FieldValue> {
    return this.#ciphers.decryptValue(sealed, options);
  }

  /**
   * Shows a field to a person, as the policies say: its plaintext for a reason, or a masked form. Values with a type are shown as text. Each
   * call leaves one record, also one of the process itself; the reason stands in it.
   * @throws KeysteadError as {@link decryptText}; `REASON_REQUIRED` when nothing but the plaintext may be shown and no reason is given
   * @example
   * const { text, masked } = await keystead.reveal(sealed, { context: { table: "person", column: "ssn" }, reason: "ticket 4711" });
   */
  reveal(sealed: string | Uint8Array, options?: RevealOptions): Promise<Revealed> {
    return this.#reveals.reveal(sealed, options);
  }

  /** Shows up to 1,000 fields for one reason, as {@link reveal} does. @throws KeysteadError as {@link encryptMany} */
  revealMany(items: readonly RevealItem[], options?: RevealReason): Promise<(Revealed | ItemProblem)[]> {
    return this.#reveals.revealMany(items, options);
  }

  /**
   * Moves a ciphertext of {@link encrypt} or {@link encryptValue} to the current version of its key, or to another key. The context stays. It is
   * re-encryption outside datasets: like a job it also opens what a suspended or compromised version sealed, or one that waits for
   * destruction.
   * @returns ciphertext of the kind and in the form that it had
   * @throws KeysteadError as {@link decrypt} and {@link encrypt}
   */
  rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer> {
    return this.#ciphers.rewrap(sealed, options);
  }

  /**
   * Seals a stream of any length in constant memory.
   * @throws KeysteadError as {@link encrypt}
   * @example
   * await pipeline(keystead.encryptStream("pii-files", createReadStream("scan.pdf")), createWriteStream("scan.pdf.ks1"));
   */
  encryptStream(target: KeyTarget, source: AsyncIterable<Uint8Array>, options?: SealOptions): AsyncGenerator<Buffer> {
    return this.#ciphers.encryptStream(target, source, options);
  }

  /**
   * Opens a stream of {@link encryptStream}. What was yielded before an error is authentic, but the stream is cut.
   * @throws KeysteadError as {@link decrypt}
   */
  decryptStream(source: AsyncIterable<Uint8Array>, options?: CipherOptions): AsyncGenerator<Buffer> {
    return this.#ciphers.decryptStream(source, options);
  }

  /**
   * Moves a stream to the current version of its key, or to another key: only its head changes, its chunks and the file key that
   * they are sealed with stay. It opens what {@link rewrap} opens. After a leak of a key decrypt and encrypt anew instead: whoever had
   * the version's key and the old head has the file key.
   * @throws KeysteadError as {@link decrypt} and {@link encrypt}
   */
  rewrapStream(source: AsyncIterable<Uint8Array>, options?: RewrapOptions): AsyncGenerator<Uint8Array> {
    return this.#ciphers.rewrapStream(source, options);
  }

  /**
   * Seals up to 1,000 values, each under the key that it names. Each is asked for and fails alone; one record tells of all of a key.
   * @returns for each item in order its ciphertext, or the problem with it
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE`, `AUDIT_UNAVAILABLE`
   * @example
   * const [first] = await keystead.encryptMany([{ target: "pii-email", plaintext: "anna@example.org" }]);
   */
  encryptMany(items: readonly EncryptItem[]): Promise<(string | ItemProblem)[]> {
    return this.#ciphers.encryptMany(items);
  }

  /**
   * Opens up to 1,000 ciphertexts, as {@link encryptMany} seals: those of {@link encrypt}, and with `typed` those of {@link encryptValue}.
   * @throws KeysteadError as {@link encryptMany}
   */
  decryptMany(items: readonly DecryptItem[]): Promise<(OpenedItem | ItemProblem)[]> {
    return this.#ciphers.decryptMany(items);
  }

  /** Moves up to 1,000 ciphertexts, as {@link rewrap} does. @throws KeysteadError as {@link encryptMany} */
  rewrapMany(items: readonly RewrapItem[]): Promise<(string | ItemProblem)[]> {
    return this.#ciphers.rewrapMany(items);
  }

  /**
   * HMAC-SHA-256 of data under the current version of a key of usage `mac`: `<label>.<base64url>`.
   * @throws KeysteadError `UNKNOWN_KEY`, `KEY_USAGE`, `KEY_STATE`, `KEY_VERSION_EXPIRED`
   * @example
   * const tag = await keystead.mac("webhooks", body);
   */
  mac(target: KeyTarget, data: string | Uint8Array): Promise<string> {
    return this.#macs.mac(target, data);
  }

  /** Makes up to 1,000 tags, as {@link mac} does. @throws KeysteadError as {@link encryptMany} */
  macMany(items: readonly MacItem[]): Promise<(string | ItemProblem)[]> {
    return this.#macs.macMany(items);
  }

  /** True when the tag was made by {@link mac} over the same data. @throws KeysteadError `UNKNOWN_KEY`, `KEY_USAGE`, `KEY_STATE` */
  verifyMac(target: KeyTarget, data: string | Uint8Array, tag: string): Promise<boolean> {
    return this.#macs.verifyMac(target, data, tag);
  }

  /** Checks up to 1,000 tags, as {@link verifyMac} does. @throws KeysteadError as {@link encryptMany} */
  verifyMacMany(items: readonly VerifyMacItem[]): Promise<(boolean | ItemProblem)[]> {
    return this.#macs.verifyMacMany(items);
  }

  /** The hash of data: SHA-2 or SHA-3. It says nothing about who made it: for that take {@link mac}. @throws KeysteadError `INVALID_ARGUMENT` */
  hash(data: string | Uint8Array, algorithm?: HashName): Promise<Buffer> {
    return this.#keyless.hash(data, algorithm);
  }

  /** Up to 1,000 hashes, as {@link hash} makes them. @throws KeysteadError as {@link encryptMany} */
  hashMany(items: readonly HashItem[]): Promise<(Buffer | ItemProblem)[]> {
    return this.#keyless.hashMany(items);
  }

  /** Random bytes of the host that keeps the keys, 1 to 1,048,576. @throws KeysteadError `INVALID_ARGUMENT` */
  randomBytes(bytes: number): Promise<Buffer> {
    return this.#keyless.randomBytes(bytes);
  }

  /** Up to 1,000 pieces of random bytes, 1,048,576 in all. @throws KeysteadError as {@link encryptMany} */
  randomBytesMany(items: readonly RandomItem[]): Promise<(Buffer | ItemProblem)[]> {
    return this.#keyless.randomBytesMany(items);
  }
}

/** The engine for one call of a caller: it knows whether that call was recorded. */
export class KeysteadCall extends KeysteadView {
  readonly #trail: CallTrail;

  constructor(parts: ViewParts, caller: Caller, access: AccessControl) {
    const trail = new CallTrail(parts.engine.audit);
    super({ ...parts, engine: { ...parts.engine, caller, access, audit: trail } });
    this.#trail = trail;
  }

  /** Records that services have begun to write for this call. */
  get records(): number {
    return this.#trail.records;
  }
}

class CallTrail implements AuditTrail {
  readonly #trail: AuditTrail;
  #records = 0;

  constructor(trail: AuditTrail) {
    this.#trail = trail;
  }

  get records(): number {
    return this.#records;
  }

  record(event: AuditEvent): Promise<void> {
    this.#records += 1;
    return this.#trail.record(event);
  }
}
