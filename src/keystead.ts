import { dirname, join } from "node:path";
import { allowAll, type AccessControl, isPrincipal, malformedPrincipal, type Resource } from "./access/access-control.ts";
import { anything, assertArguments, flag, having, number, object, optional, recordOf, type Shape, text, wordOr } from "./arguments.ts";
import type { Caller } from "./access/caller.ts";
import { embeddedPrincipal, type Principal } from "./access/principal.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type RandomSource, systemRandom } from "./crypto/random.ts";
import { DatasetGate } from "./datasets/dataset-gate.ts";
import type { CodecConfig } from "./datasets/codecs/codec-types.ts";
import { DatasetService } from "./datasets/dataset-service.ts";
import { JobService } from "./datasets/job-service.ts";
import { Doctor } from "./keystead/doctor.ts";
import { type OutsideData, outsideData } from "./keystead/outside-data.ts";
import { KekProviders } from "./kek/kek-providers.ts";
import { type MasterKeyConfig, masterKeyConfig } from "./kek/local/master-key-source.ts";
import { AuditService } from "./keys/audit-service.ts";
import { Background, reportUse } from "./keys/background.ts";
import { CipherService, type CipherOptions, type KeyTarget, type RewrapOptions, type SealOptions } from "./keys/cipher-service.ts";
import { PolicyAccess } from "./keys/access/policy-access.ts";
import { ApprovalService } from "./keys/access/approval-service.ts";
import { PolicyService } from "./keys/access/policy-service.ts";
import { PrincipalService } from "./keys/access/principal-service.ts";
import { TokenService } from "./keys/access/token-service.ts";
import { createStore, unlockStore } from "./keys/create-store.ts";
import type { Engine } from "./keys/engine.ts";
import { handOver } from "./keys/hand-over.ts";
import type { KeyHandle } from "./keys/key-handle.ts";
import { requireAccess } from "./keys/access/require-access.ts";
import { KeyService } from "./keys/key-service.ts";
import { KeysetRegistry } from "./keys/keyset-registry.ts";
import { KekRing } from "./keys/kek-ring.ts";
import { KekService } from "./keys/kek-service.ts";
import { PurposeService } from "./keys/purpose-service.ts";
import { RouteService } from "./keys/route-service.ts";
import { SettingsService } from "./keys/settings-service.ts";
import { RunningActs } from "./keys/running-acts.ts";
import type { ChangeableSetting } from "./keys/settings.ts";
import { KeysteadError } from "./errors.ts";
import type { FieldValue } from "./crypto/typed-value.ts";
import { openStore } from "./store/open-store.ts";
import type { Store, StoreIdentity } from "./store/store.ts";

/** Where everything is: the local configuration. Nothing of it comes from the environment or from the store. */
export interface KeysteadOptions {
  /** `sqlite:<path>` or `memory:`. */
  readonly store: string;
  /** File of the master key `main`; short for `masterKeys: { main: { file } }`. */
  readonly masterKeyFile?: string;
  /** Master keys by name, each from a file, from bytes or from a passphrase. */
  readonly masterKeys?: Readonly<Record<string, MasterKeyConfig>>;
  /** Databases that datasets may name: `{ crm: "sqlite:./crm.db" }`. */
  readonly databases?: Readonly<Record<string, string>>;
  /** Codecs of ciphertext that other systems wrote, by name: `reencrypt(…, { from })` names one. */
  readonly codecs?: Readonly<Record<string, CodecConfig>>;
  /** Folder of the audit journal; `audit` beside the store's file when absent. */
  readonly auditDirectory?: string;
  /** Who asks, for access control and audit. */
  readonly principal?: Principal;
  /** Who may do what; the word `policies`: what the store's policies say, and nothing else. Everything is allowed when absent. */
  readonly access?: AccessControl | "policies";
  /** For demo stores and for tests: waiting times, expiry and leases pass by this clock. */
  readonly clock?: Clock;
  readonly random?: RandomSource;
  /** Bring an older schema up to date while opening. */
  readonly migrate?: boolean;
}

/** How a new store begins. */
export interface InitOptions extends KeysteadOptions {
  /** Marks the store as a demo: its clock may be moved. */
  readonly demo?: boolean;
  readonly settings?: Partial<Record<ChangeableSetting, number>>;
}

/** What the options of a Keystead must be. */
export const optionRules: Shape<KeysteadOptions> = {
  store: text,
  masterKeyFile: optional(text),
  masterKeys: optional(recordOf(masterKeyConfig)),
  databases: optional(recordOf(text)),
  codecs: optional(recordOf(recordOf(anything))),
  auditDirectory: optional(text),
  principal: anything,
  access: optional(wordOr("policies", having("the word policies, or access control with authorize()", "authorize"))),
  clock: optional(having("a clock with now(), monotonic() and wait()", "now", "monotonic", "wait")),
  random: optional(having("a source of randomness with bytes()", "bytes")),
  migrate: optional(flag),
};
const initRules: Shape<InitOptions> = {
  ...optionRules,
  demo: optional(flag),
  settings: optional(
    object<NonNullable<InitOptions["settings"]>>({
      refreshBound: optional(number),
      destructionWaitingDays: optional(number),
      backupRetentionDays: optional(number),
    }),
  ),
};
const openArguments = { options: object(optionRules) };
const initArguments = { options: object(initRules) };

/**
 * Makes a new store and opens it. The master key must exist (`createMasterKeyFile()`).
 *
 * @throws KeysteadError `STORE_EXISTS`, `UNKNOWN_KEK`, `INSECURE_FILE`, `STORE_READ_ONLY`, `STORE_FULL`
 * @example
 * await createMasterKeyFile("./master.key", "main", systemRandom);
 * const keystead = await initKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
 */
export async function initKeystead(options: InitOptions): Promise<Keystead> {
  assertArguments({ options }, initArguments);
  const parts = await openParts(options, true);
  const { store, keks, clock, random } = parts;
  let keystead: Keystead | undefined;
  try {
    const kekUri = `local:${Object.keys(masterKeysOf(options))[0] ?? "main"}`;
    const { settings } = options;
    const identity = await createStore({ store, keks, clock, random, kekUri, demo: options.demo ?? false, ...(settings && { settings }) });
    keystead = await Keystead.start(options, parts, identity);
    const { principal = embeddedPrincipal } = options;
    await keystead.audit.trail.record({ action: "store.create", outcome: "allowed", principal, detail: { demo: identity.demo } });
    return keystead;
  } catch (error) {
    await (keystead?.close() ?? closeParts(parts)).catch(() => undefined);
    throw error;
  }
}

/**
 * Opens a store: checks every row of its metadata, opens the audit journal, finishes what a crash left.
 *
 * @throws KeysteadError `STORE_NOT_FOUND`, `WRONG_MASTER_KEY`, `INSECURE_FILE`, `STORE_TAMPERED`, `STORE_SCHEMA_OLDER`,
 *   `STORE_SCHEMA_NEWER`, `STORE_READ_ONLY`, `AUDIT_UNAVAILABLE`
 * @example
 * const keystead = await openKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
 */
export async function openKeystead(options: KeysteadOptions): Promise<Keystead> {
  assertArguments({ options }, openArguments);
  const parts = await openParts(options, false);
  try {
    if (options.migrate === true) await parts.store.migrate();
    return await Keystead.start(options, parts, await unlockStore(parts.store, parts.keks));
  } catch (error) {
    await closeParts(parts).catch(() => undefined);
    throw error;
  }
}

/** What a Keystead is made of, opened and bound to each other. */
export interface KeysteadParts extends OutsideData {
  readonly store: Store;
  readonly keks: KekRing;
  readonly clock: Clock;
  readonly random: RandomSource;
}

interface StartedParts extends OutsideData {
  readonly audit: AuditService;
  readonly background: Background;
  readonly ciphers: CipherService;
  readonly purposes: PurposeService;
  /** Decides about callers that are named: an access control that was given, otherwise the store's policies. */
  readonly accessOfOthers: AccessControl;
}

/** Milliseconds that closing waits for acts that run. */
const closePatience = 10_000;

/**
 * Keys and the stored data they protect. One per process and store; close it at the end.
 *
 * @example
 * await using keystead = await openKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
 * const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
 */
export class Keystead {
  readonly keys: KeyService;
  readonly purposes: PurposeService;
  readonly routes: RouteService;
  readonly keks: KekService;
  readonly settings: SettingsService;
  readonly datasets: DatasetService;
  readonly jobs: JobService;
  readonly audit: AuditService;
  readonly policies: PolicyService;
  readonly principals: PrincipalService;
  readonly tokens: TokenService;
  readonly approvals: ApprovalService;
  readonly doctor: Doctor;
  readonly #engine: Engine;
  readonly #ciphers: CipherService;
  readonly #background: Background;
  readonly #accessOfOthers: AccessControl;
  #closed: Promise<void> | undefined;

  private constructor(engine: Engine, parts: StartedParts) {
    const { audit, background, ciphers, databases, codecs, purposes, accessOfOthers } = parts;
    this.#accessOfOthers = accessOfOthers;
    this.#engine = engine;
    this.#ciphers = ciphers;
    this.#background = background;
    this.audit = audit;
    this.keys = new KeyService(engine, new DatasetGate(engine, databases));
    this.purposes = purposes;
    this.routes = new RouteService(engine);
    this.keks = new KekService(engine);
    this.settings = new SettingsService(engine);
    this.policies = new PolicyService(engine);
    this.principals = new PrincipalService(engine);
    this.tokens = new TokenService(engine);
    this.approvals = new ApprovalService(engine);
    this.datasets = new DatasetService(engine, databases, codecs);
    this.jobs = new JobService(engine, databases, codecs);
    this.doctor = new Doctor({ engine, audit, databases, codecs, background });
  }

  /** Wires the parts of an unlocked store; {@link initKeystead} and {@link openKeystead} call it. */
  static async start(options: KeysteadOptions, parts: KeysteadParts, identity: StoreIdentity): Promise<Keystead> {
    const { store, keks, databases, codecs, clock, random } = parts;
    const registry = new KeysetRegistry({ store, keks, clock, random });
    const directory = options.auditDirectory ?? auditDirectoryOf(options.store);
    const audit = await AuditService.open({ store, registry, identity, clock, random, ...(directory !== undefined && { directory }) });
    const { principal = embeddedPrincipal } = options;
    const acts = new RunningActs();
    const policies = new PolicyAccess({ store, clock });
    const given = options.access === "policies" ? policies : options.access;
    const [access, accessOfOthers] = [given ?? allowAll, given ?? policies];
    const parties = { access, policies, caller: { principal } };
    const engine: Engine = { store, identity, keks, registry, audit: audit.trail, acts, clock, random, ...parties };
    const purposes = new PurposeService(engine);
    const ciphers = new CipherService(engine);
    const background = new Background(engine, () => ciphers.closeIdle());
    try {
      await background.start();
    } catch (error) {
      await audit.close();
      throw error;
    }
    return new Keystead(engine, {
      audit: AuditService.boundTo(engine, audit),
      background,
      ciphers,
      databases,
      codecs,
      purposes,
      accessOfOthers,
    });
  }

  /** Facts about the opened store. */
  get store(): StoreIdentity & { readonly url: string } {
    return { ...this.#engine.identity, url: this.#engine.store.url };
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
   * Guards any function: asks access control, does the work, and records both. Actions of one's own have another noun than Keystead's.
   * @param who for whom it is done
   * @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED`, `INVALID_ARGUMENT`, and what the work throws
   * @example
   * await keystead.requireAccess({ source: "oidc", id: "main:7f3a" }, "payroll.print", { purpose: "payroll" }, () => print(payslips));
   */
  requireAccess<T>(who: Caller | Principal, action: string, resource: Resource, work: () => Promise<T> | T): Promise<T> {
    return requireAccess({ ...this.#engine, access: this.#accessOfOthers }, who, action, resource, work);
  }

  /** Learns of every change of other processes up to now; goes on in the background anyway. @throws what the store says */
  refresh(): Promise<void> {
    return this.#engine.registry.refresh();
  }

  /**
   * Records that the store is copied, and with `move` that it is used no more; `copyKeystead` calls it.
   * @param place - URL of the copy, without credentials.
   * @throws KeysteadError `INVALID_ARGUMENT`, `ACCESS_DENIED`, `AUDIT_UNAVAILABLE`, and what the store says
   */
  async handOver(place: string, move: boolean): Promise<void> {
    assertArguments({ place, move }, { place: text, move: flag });
    await handOver(this.#engine, place, move);
  }

  /**
   * Waits for acts that run, ten seconds at most (end jobs by their signal first), writes counts, ends the audit journal and
   * closes store and KEKs. Handles refuse afterwards. Closing again does nothing.
   * @throws the first failure; everything is closed nevertheless
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { acts, registry, keks, store } = this.#engine;
    await acts.end(closePatience);
    await this.#background.stop();
    await inTurn([
      // The last checkpoint is signed under a lease that holds.
      () => registry.refresh(),
      () => this.#ciphers.close(),
      () => reportUse(this.#engine),
      () => this.audit.close(),
      () => registry.end(),
      () => keks.close(),
      () => store.close(),
    ]);
  }
}

/** Opens store and master keys; {@link closeParts} closes them. */
export async function openParts(options: KeysteadOptions, create: boolean): Promise<KeysteadParts> {
  const { clock = systemClock, random = systemRandom, principal = embeddedPrincipal } = options;
  if (!isPrincipal(principal)) {
    throw malformedPrincipal("INVALID_ARGUMENT");
  }
  const masterKeys = masterKeysOf(options);
  const outside = outsideData(options);
  const providers = new KekProviders(
    {
      local: async () =>
        new (await import("./kek/local/local-kek-provider.ts")).LocalKekProvider({ masterKeys, random, clock: systemClock }),
    },
    { clock: systemClock },
  );
  const keks = new KekRing((uri, known) => providers.open(uri, known));
  const store = await openStore(options.store, { clock: systemClock, create });
  return { ...outside, store, keks, clock, random };
}

/** Closes what {@link openParts} opened. */
export function closeParts({ store, keks }: Pick<KeysteadParts, "store" | "keks">): Promise<void> {
  return inTurn([() => keks.close(), () => store.close()]);
}

/** Does every step, also after one that failed. @throws the first failure */
async function inTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function masterKeysOf({ masterKeys = {}, masterKeyFile }: KeysteadOptions): Readonly<Record<string, MasterKeyConfig>> {
  if (masterKeyFile === undefined) return masterKeys;
  if (Object.hasOwn(masterKeys, "main")) {
    throw new KeysteadError("INVALID_ARGUMENT", "the master key main is given twice; give it by masterKeyFile or in masterKeys");
  }
  return { main: { file: masterKeyFile }, ...masterKeys };
}

/** Beside the store's file; a store in memory keeps its audit in itself. */
function auditDirectoryOf(url: string): string | undefined {
  return url.startsWith("sqlite:") ? join(dirname(url.slice("sqlite:".length)), "audit") : undefined;
}
