import { dirname, join } from "node:path";
import { allowAll, type AccessControl } from "./access/access-control.ts";
import { embeddedPrincipal, type Principal } from "./access/principal.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type RandomSource, systemRandom } from "./crypto/random.ts";
import { DatasetGate } from "./datasets/dataset-gate.ts";
import { DatasetService } from "./datasets/dataset-service.ts";
import { Databases } from "./datasets/databases.ts";
import { Doctor } from "./keystead/doctor.ts";
import { KekProviders } from "./kek/kek-providers.ts";
import type { MasterKeyConfig } from "./kek/local/master-key-source.ts";
import { AuditService } from "./keys/audit-service.ts";
import { Background, reportUse } from "./keys/background.ts";
import { CipherService, type CipherOptions, type KeyTarget, type RewrapOptions, type SealOptions } from "./keys/cipher-service.ts";
import { createStore, unlockStore } from "./keys/create-store.ts";
import type { Engine } from "./keys/engine.ts";
import type { KeyHandle } from "./keys/key-handle.ts";
import { KeyService } from "./keys/key-service.ts";
import { KeysetRegistry } from "./keys/keyset-registry.ts";
import { KekRing } from "./keys/kek-ring.ts";
import { KekService } from "./keys/kek-service.ts";
import { PurposeService } from "./keys/purpose-service.ts";
import { RouteService } from "./keys/route-service.ts";
import { SettingsService } from "./keys/settings-service.ts";
import type { SettingName } from "./keys/settings.ts";
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
  /** Folder of the audit journal; `audit` beside the store's file when absent. */
  readonly auditDirectory?: string;
  /** Who asks, for access control and audit. */
  readonly principal?: Principal;
  readonly access?: AccessControl;
  /** Only for stores that are marked as demo stores, and for tests. */
  readonly clock?: Clock;
  readonly random?: RandomSource;
  /** Bring an older schema up to date while opening. */
  readonly migrate?: boolean;
}

/** How a new store begins. */
export interface InitOptions extends KeysteadOptions {
  /** Marks the store as a demo: its clock may be moved. */
  readonly demo?: boolean;
  readonly settings?: Partial<Record<SettingName, number>>;
}

/**
 * Makes a new store and opens it. The master key must exist (`createMasterKeyFile()`).
 *
 * @throws KeysteadError `STORE_EXISTS`, `UNKNOWN_KEK`, `INSECURE_FILE`, `STORE_READ_ONLY`, `STORE_FULL`
 * @example
 * await createMasterKeyFile("./master.key", "main", systemRandom);
 * const keystead = await initKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
 */
export async function initKeystead(options: InitOptions): Promise<Keystead> {
  const parts = await openParts(options, true);
  const { store, keks, clock, random } = parts;
  try {
    const kekUri = `local:${Object.keys(masterKeysOf(options))[0] ?? "main"}`;
    const { settings } = options;
    const identity = await createStore({ store, keks, clock, random, kekUri, demo: options.demo ?? false, ...(settings && { settings }) });
    return await Keystead.start(options, parts, identity);
  } catch (error) {
    await closeParts(parts);
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
  const parts = await openParts(options, false);
  try {
    if (options.migrate === true) await parts.store.migrate();
    return await Keystead.start(options, parts, await unlockStore(parts.store, parts.keks));
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
}

interface Parts {
  readonly store: Store;
  readonly keks: KekRing;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Keys and the stored data they protect. One per process and store; close it at the end. */
export class Keystead {
  readonly keys: KeyService;
  readonly purposes: PurposeService;
  readonly routes: RouteService;
  readonly keks: KekService;
  readonly settings: SettingsService;
  readonly datasets: DatasetService;
  readonly audit: AuditService;
  readonly doctor: Doctor;
  readonly #engine: Engine;
  readonly #ciphers: CipherService;
  readonly #background: Background;
  #closed: Promise<void> | undefined;

  private constructor(engine: Engine, audit: AuditService, background: Background, databases: Databases) {
    const gate = new DatasetGate(engine, databases);
    this.#engine = engine;
    this.#background = background;
    this.audit = audit;
    this.keys = new KeyService(engine, gate);
    this.purposes = new PurposeService(engine);
    this.routes = new RouteService(engine);
    this.keks = new KekService(engine);
    this.settings = new SettingsService(engine);
    this.datasets = new DatasetService(engine, databases);
    this.#ciphers = new CipherService(engine, this.purposes);
    this.doctor = new Doctor({ engine, audit, keks: this.keks, datasets: this.datasets, background });
  }

  /** Wires the parts of an unlocked store; {@link initKeystead} and {@link openKeystead} call it. */
  static async start(options: KeysteadOptions, parts: Parts, identity: StoreIdentity): Promise<Keystead> {
    const { store, keks, clock, random } = parts;
    const registry = new KeysetRegistry({ store, keks, clock, random });
    const directory = options.auditDirectory ?? auditDirectoryOf(options.store);
    const audit = await AuditService.open({ store, registry, identity, clock, random, ...(directory !== undefined && { directory }) });
    const { principal = embeddedPrincipal, access = allowAll } = options;
    const engine: Engine = { store, identity, keks, registry, audit: audit.trail, access, clock, random, principal };
    const background = new Background(engine);
    try {
      await background.start();
    } catch (error) {
      await audit.close();
      throw error;
    }
    const databases = new Databases(options.databases ?? {}, {
      sqlite: async () => new (await import("./datasets/sqlite/sqlite-source-provider.ts")).SqliteSourceProvider(),
    });
    return new Keystead(engine, audit, background, databases);
  }

  /** Facts about the opened store. */
  get store(): StoreIdentity & { readonly url: string } {
    return { ...this.#engine.identity, url: this.#engine.store.url };
  }

  /** {@link CipherService.open} */
  open(target: KeyTarget, options?: { readonly dataset?: string }): Promise<KeyHandle> {
    return this.#ciphers.open(target, options);
  }

  /** {@link CipherService.encrypt} */
  encrypt(target: KeyTarget, plaintext: string | Uint8Array, options?: SealOptions): Promise<string> {
    return this.#ciphers.encrypt(target, plaintext, options);
  }

  /** {@link CipherService.encryptBytes} */
  encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, options?: SealOptions): Promise<Buffer> {
    return this.#ciphers.encryptBytes(target, plaintext, options);
  }

  /** {@link CipherService.encryptValue} */
  encryptValue(target: KeyTarget, value: FieldValue, options?: SealOptions): Promise<string> {
    return this.#ciphers.encryptValue(target, value, options);
  }

  /** {@link CipherService.decrypt} */
  decrypt(sealed: string | Uint8Array, options?: CipherOptions): Promise<Buffer> {
    return this.#ciphers.decrypt(sealed, options);
  }

  /** {@link CipherService.decryptText} */
  decryptText(sealed: string | Uint8Array, options?: CipherOptions): Promise<string> {
    return this.#ciphers.decryptText(sealed, options);
  }

  /** {@link CipherService.decryptValue} */
  decryptValue(sealed: string | Uint8Array, options?: CipherOptions): Promise<FieldValue> {
    return this.#ciphers.decryptValue(sealed, options);
  }

  /** {@link CipherService.rewrap} */
  rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer> {
    return this.#ciphers.rewrap(sealed, options);
  }

  /** {@link CipherService.encryptStream} */
  encryptStream(target: KeyTarget, source: AsyncIterable<Uint8Array>, options?: SealOptions): AsyncGenerator<Buffer> {
    return this.#ciphers.encryptStream(target, source, options);
  }

  /** {@link CipherService.decryptStream} */
  decryptStream(source: AsyncIterable<Uint8Array>, options?: CipherOptions): AsyncGenerator<Buffer> {
    return this.#ciphers.decryptStream(source, options);
  }

  /** {@link CipherService.rewrapStream} */
  rewrapStream(source: AsyncIterable<Uint8Array>, options?: RewrapOptions): AsyncGenerator<Uint8Array> {
    return this.#ciphers.rewrapStream(source, options);
  }

  /** Learns of every change of other processes up to now; goes on in the background anyway. */
  refresh(): Promise<void> {
    return this.#engine.registry.refresh();
  }

  /** Writes counts, ends the audit journal and closes store and KEKs. Closing again does nothing. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#background.stop();
    try {
      await this.#engine.registry.refresh();
      await this.#ciphers.close();
      await reportUse(this.#engine);
    } finally {
      await this.audit.close();
      await closeParts(this.#engine);
    }
  }
}

async function openParts(options: KeysteadOptions, create: boolean): Promise<Parts> {
  const { clock = systemClock, random = systemRandom } = options;
  const masterKeys = masterKeysOf(options);
  const providers = new KekProviders(
    {
      local: async () =>
        new (await import("./kek/local/local-kek-provider.ts")).LocalKekProvider({ masterKeys, random, clock: systemClock }),
    },
    { clock: systemClock },
  );
  const keks = new KekRing((uri, known) => providers.open(uri, known));
  return { store: await openStore(options.store, { clock: systemClock, create }), keks, clock, random };
}

async function closeParts({ store, keks }: Pick<Parts, "store" | "keks">): Promise<void> {
  await keks.close();
  await store.close();
}

function masterKeysOf({ masterKeys = {}, masterKeyFile }: KeysteadOptions): Readonly<Record<string, MasterKeyConfig>> {
  return masterKeyFile === undefined ? masterKeys : { main: { file: masterKeyFile }, ...masterKeys };
}

/** Beside the store's file; a store in memory keeps its audit in itself. */
function auditDirectoryOf(url: string): string | undefined {
  return url.startsWith("sqlite:") ? join(dirname(url.slice("sqlite:".length)), "audit") : undefined;
}
