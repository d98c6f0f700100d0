import { dirname, join } from "node:path";
import { allowAll, type AccessControl, isPrincipal, malformedPrincipal, type Resource } from "./access/access-control.ts";
import type { Caller, RequestOrigin } from "./access/caller.ts";
import { embeddedPrincipal, type Principal } from "./access/principal.ts";
import {
  anything,
  assertArguments,
  flag,
  having,
  listOf,
  number,
  object,
  optional,
  recordOf,
  rule,
  type Shape,
  text,
  wordOr,
} from "./arguments.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type RandomSource, systemRandom } from "./crypto/random.ts";
import { JobRuns } from "./datasets/background-jobs.ts";
import type { CodecConfig } from "./datasets/codecs/codec-types.ts";
import { KeysteadError } from "./errors.ts";
import { KekProviders } from "./kek/kek-providers.ts";
import { type MasterKeyConfig, masterKeyConfig } from "./kek/local/master-key-source.ts";
import { auditSinkRule } from "./audit/sinks/sink-rule.ts";
import type { AuditSinkConfig } from "./audit/sinks/audit-sink.ts";
import { requireAccess } from "./keys/access/require-access.ts";
import { AuditService } from "./keys/audit-service.ts";
import { Background, reportUse } from "./keys/background.ts";
import { PolicyAccess } from "./keys/access/policy-access.ts";
import { createStore, unlockStore } from "./keys/create-store.ts";
import type { Engine } from "./keys/engine.ts";
import { HandlePool } from "./keys/handle-pool.ts";
import { handOver } from "./keys/hand-over.ts";
import { KekRing } from "./keys/kek-ring.ts";
import { KeyNames } from "./keys/key-names.ts";
import { KeysetRegistry } from "./keys/keyset-registry.ts";
import { readKeyFacts } from "./keys/key-facts.ts";
import { RunningActs } from "./keys/running-acts.ts";
import type { ChangeableSetting } from "./keys/settings.ts";
import { KeysteadCall, KeysteadView, type ViewParts } from "./keystead/keystead-view.ts";
import { type OutsideData, outsideData } from "./keystead/outside-data.ts";
import { type MetricsCollector, type Observer, observers } from "./observer.ts";
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
  /** Where audit records go beside the store. */
  readonly audit?: { readonly sinks?: readonly AuditSinkConfig[] };
  /** Who asks, for access control and audit. */
  readonly principal?: Principal;
  /** Numbers of the groups of an operating-system user, for policies. */
  readonly groups?: readonly number[];
  /** Who may do what; the word `policies`: what the store's policies say, and nothing else. Everything is allowed when absent. */
  readonly access?: AccessControl | "policies";
  /** For demo stores and for tests: waiting times, expiry and leases pass by this clock. */
  readonly clock?: Clock;
  readonly random?: RandomSource;
  /** What hears of every act: traces. None when absent. */
  readonly observers?: readonly Partial<Observer>[];
  /** What counts acts, and reads how keys are, for `metrics.read()`. */
  readonly metrics?: MetricsCollector;
  /** Bring an older schema up to date while opening. */
  readonly migrate?: boolean;
  /** Where a store keeps everything else waiting while it writes (SQLite does), a thread adds audit records: for servers. */
  readonly threaded?: boolean;
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
  audit: optional(object<NonNullable<KeysteadOptions["audit"]>>({ sinks: optional(listOf(auditSinkRule)) })),
  principal: anything,
  groups: optional(listOf(number)),
  access: optional(wordOr("policies", having("the word policies, or access control with authorize()", "authorize"))),
  clock: optional(having("a clock with now(), monotonic() and wait()", "now", "monotonic", "wait")),
  random: optional(having("a source of randomness with bytes()", "bytes")),
  observers: optional(listOf(rule("an observer", (value) => typeof value === "object" && value !== null))),
  metrics: optional(having("metrics with attach() and read()", "attach", "read")),
  migrate: optional(flag),
  threaded: optional(flag),
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
const callerShape = object<Caller>({
  principal: anything,
  roles: optional(listOf(text)),
  claims: optional(recordOf(listOf(text))),
  groups: optional(listOf(number)),
  scope: optional(recordOf(listOf(text))),
  request: optional(object<RequestOrigin>({ id: text, address: optional(text) })),
});
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

/** Milliseconds that closing waits for acts that run. */
const closePatience = 10_000;

/**
 * Keys and the stored data they protect. One per process and store; close it at the end.
 *
 * @example
 * await using keystead = await openKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
 * const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
 */
export class Keystead extends KeysteadView {
  readonly #parts: ViewParts;
  /** Asked for callers other than the process itself. */
  readonly #callAccess: AccessControl;
  #closed: Promise<void> | undefined;

  private constructor(parts: ViewParts, callAccess: AccessControl) {
    super(parts);
    this.#parts = parts;
    this.#callAccess = callAccess;
  }

  /** Wires the parts of an unlocked store; {@link initKeystead} and {@link openKeystead} call it. */
  static async start(options: KeysteadOptions, parts: KeysteadParts, identity: StoreIdentity): Promise<Keystead> {
    const { store, keks, databases, codecs, clock, random } = parts;
    const registry = new KeysetRegistry({ store, keks, clock, random });
    const directory = options.auditDirectory ?? auditDirectoryOf(options.store);
    const sinks = options.audit?.sinks ?? [];
    const audit = await AuditService.open({
      store,
      registry,
      identity,
      clock,
      random,
      sinks,
      ...(directory !== undefined && { directory }),
    });
    const { principal = embeddedPrincipal, groups } = options;
    const acts = new RunningActs();
    const policies = new PolicyAccess({ store, clock });
    const callAccess = typeof options.access === "object" ? options.access : policies;
    const access = options.access === "policies" ? policies : (options.access ?? allowAll);
    const engine: Engine = {
      store,
      identity,
      keks,
      registry,
      audit: audit.trail,
      access,
      policies,
      acts,
      observer: observerOf(options),
      clock,
      random,
      names: new KeyNames(store, registry),
      caller: { principal, ...(groups !== undefined && { groups }) },
    };
    // Whoever uses a key of the pool has asked for the use itself.
    const pool = new HandlePool({ ...engine, access: allowAll });
    const background = new Background(engine, () => pool.closeIdle());
    try {
      await background.start();
    } catch (error) {
      await audit.close();
      throw error;
    }
    const { metrics } = options;
    metrics?.attach({
      caches: { handles: pool.lookups, decisions: policies.lookups },
      keys: () => readKeyFacts(engine),
      auditLag: () => audit.lag,
    });
    const jobRuns = new JobRuns();
    const viewParts = { engine, pool, databases, codecs, audit, background, jobRuns, ...(metrics !== undefined && { metrics }) };
    return new Keystead(viewParts, callAccess);
  }

  /** Facts about the opened store. */
  get store(): StoreIdentity & { readonly url: string } {
    return { ...this.#parts.engine.identity, url: this.#parts.engine.store.url };
  }

  /**
   * The same engine for another caller: the store's policies say what that one may do, or the access control that was given; records
   * bear its name.
   * @throws KeysteadError `INVALID_ARGUMENT` for a malformed principal, and for one that only the engine itself may be
   * @example
   * await keystead.as({ principal: { source: "embedded", id: "payroll" } }).decryptText(sealed);
   */
  as(caller: Caller): KeysteadCall {
    assertArguments({ caller }, { caller: callerShape });
    if (!isPrincipal(caller.principal) || caller.principal.source === "engine") throw malformedPrincipal("INVALID_ARGUMENT");
    return new KeysteadCall(this.#parts, caller, this.#callAccess);
  }

  /**
   * Guards any function: asks access control, does the work, and records both. Actions of one's own have another noun than Keystead's.
   * @param who for whom it is done
   * @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED`, `INVALID_ARGUMENT`, and what the work throws
   * @example
   * await keystead.requireAccess({ source: "oidc", id: "main:7f3a" }, "payroll.print", { purpose: "payroll" }, () => print(payslips));
   */
  requireAccess<T>(who: Caller | Principal, action: string, resource: Resource, work: () => Promise<T> | T): Promise<T> {
    return requireAccess({ ...this.#parts.engine, access: this.#callAccess }, who, action, resource, work);
  }

  /** Learns of every change of other processes up to now; goes on in the background anyway. @throws what the store says */
  refresh(): Promise<void> {
    return this.#parts.engine.registry.refresh();
  }

  /**
   * Records that the store is copied, and with `move` that it is used no more; `copyKeystead` calls it.
   * @param place - URL of the copy, without credentials.
   * @throws KeysteadError `INVALID_ARGUMENT`, `ACCESS_DENIED`, `AUDIT_UNAVAILABLE`, and what the store says
   */
  async handOver(place: string, move: boolean): Promise<void> {
    assertArguments({ place, move }, { place: text, move: flag });
    await handOver(this.#parts.engine, place, move);
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
    const { acts, registry, keks, store } = this.#parts.engine;
    await acts.end(closePatience);
    await this.#parts.background.stop();
    await inTurn([
      // The last checkpoint is signed under a lease that holds.
      () => registry.refresh(),
      () => this.#parts.pool.close(),
      () => reportUse(this.#parts.engine),
      () => this.audit.close(),
      () => registry.end(),
      () => keks.close(),
      () => store.close(),
    ]);
  }
}

function observerOf({ observers: others = [], metrics }: KeysteadOptions): Observer {
  return observers(metrics === undefined ? others : [...others, metrics]);
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
    { clock: systemClock, observer: observerOf(options) },
  );
  const keks = new KekRing((uri, known) => providers.open(uri, known));
  const store = await openStore(options.store, { clock: systemClock, create, threaded: options.threaded === true });
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
