import type { KeysteadApi } from "../api/keystead-api.ts";
import { accessCalls } from "./access-calls.ts";
import { auditCalls } from "./audit-calls.ts";
import { type DataCalls, dataCalls, type RewrapOptions } from "./data-calls.ts";
import { type DataStreams, dataStreams } from "./data-streams.ts";
import { datasetCalls } from "./dataset-calls.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { HttpCalls } from "./http-calls.ts";
import { keyCalls } from "./key-calls.ts";
import { leaseCalls } from "./lease-calls.ts";
import { LocalCipher, type LocalOptions } from "./local-cipher.ts";
import { registryCalls } from "./registry-calls.ts";

type KeyTarget = Parameters<KeysteadApi["encrypt"]>[0];

type Call<Name extends keyof KeysteadApi> = KeysteadApi[Name] extends (...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/**
 * A served engine: the same methods and types as the embedded `Keystead`, over HTTP. Connections are kept; calls that may be repeated are
 * sent again when they are lost; every failure is a `KeysteadError` with the code that the engine gave, `SERVER_UNREACHABLE` when there was
 * no answer.
 *
 * @example
 * await using keystead = new KeysteadClient({ url: "https://keys.example.org", token: process.env.KEYSTEAD_TOKEN ?? "" });
 * const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
 */
export class KeysteadClient implements KeysteadApi {
  readonly keys: KeysteadApi["keys"];
  readonly purposes: KeysteadApi["purposes"];
  readonly routes: KeysteadApi["routes"];
  readonly keks: KeysteadApi["keks"];
  readonly settings: KeysteadApi["settings"];
  readonly datasets: KeysteadApi["datasets"];
  readonly jobs: KeysteadApi["jobs"];
  readonly backgroundJobs: KeysteadApi["backgroundJobs"];
  readonly dataKeys: KeysteadApi["dataKeys"];
  readonly policies: KeysteadApi["policies"];
  readonly principals: KeysteadApi["principals"];
  readonly tokens: KeysteadApi["tokens"];
  readonly approvals: KeysteadApi["approvals"];
  readonly doctor: KeysteadApi["doctor"];
  readonly leases: KeysteadApi["leases"];
  readonly audit: KeysteadApi["audit"];
  readonly metrics: KeysteadApi["metrics"];
  readonly whoami: Call<"whoami">;
  readonly encrypt: Call<"encrypt">;
  readonly encryptValue: Call<"encryptValue">;
  readonly encryptMany: Call<"encryptMany">;
  readonly decrypt: Call<"decrypt">;
  readonly decryptText: Call<"decryptText">;
  readonly decryptValue: Call<"decryptValue">;
  readonly decryptMany: Call<"decryptMany">;
  readonly reveal: Call<"reveal">;
  readonly revealMany: Call<"revealMany">;
  readonly rewrapMany: Call<"rewrapMany">;
  readonly mac: Call<"mac">;
  readonly macMany: Call<"macMany">;
  readonly verifyMac: Call<"verifyMac">;
  readonly verifyMacMany: Call<"verifyMacMany">;
  readonly hash: Call<"hash">;
  readonly hashMany: Call<"hashMany">;
  readonly randomBytes: Call<"randomBytes">;
  readonly randomBytesMany: Call<"randomBytesMany">;
  /** Operations on data for as many items as there are, each over one request. */
  readonly streams: DataStreams;
  readonly #http: HttpCalls;
  readonly #data: DataCalls;
  readonly #locals = new Set<LocalCipher>();

  /** @throws KeysteadError `INVALID_ARGUMENT` for an address that is none, that carries a password, or is remote without TLS */
  constructor(options: ConnectionOptions) {
    this.#http = new HttpCalls(options);
    this.#data = dataCalls(this.#http);
    const { rewrap: _, ...data } = this.#data;
    const { purposes, routes, keks, settings } = registryCalls(this.#http);
    const { datasets, jobs, backgroundJobs } = datasetCalls(this.#http);
    const { policies, principals, tokens, approvals, whoami, doctor } = accessCalls(this.#http);
    this.keys = keyCalls(this.#http);
    this.purposes = purposes;
    this.routes = routes;
    this.keks = keks;
    this.settings = settings;
    this.datasets = datasets;
    this.jobs = jobs;
    this.backgroundJobs = backgroundJobs;
    this.policies = policies;
    this.principals = principals;
    this.tokens = tokens;
    this.approvals = approvals;
    this.whoami = whoami;
    this.doctor = doctor;
    this.audit = auditCalls(this.#http);
    this.metrics = { read: () => this.#http.text("GET /metrics") };
    this.dataKeys = data.dataKeys;
    this.streams = dataStreams(this.#http);
    this.leases = leaseCalls(this.#http);
    this.encrypt = data.encrypt;
    this.encryptValue = data.encryptValue;
    this.encryptMany = data.encryptMany;
    this.decrypt = data.decrypt;
    this.decryptText = data.decryptText;
    this.decryptValue = data.decryptValue;
    this.decryptMany = data.decryptMany;
    this.reveal = data.reveal;
    this.revealMany = data.revealMany;
    this.rewrapMany = data.rewrapMany;
    this.mac = data.mac;
    this.macMany = data.macMany;
    this.verifyMac = data.verifyMac;
    this.verifyMacMany = data.verifyMacMany;
    this.hash = data.hash;
    this.hashMany = data.hashMany;
    this.randomBytes = data.randomBytes;
    this.randomBytesMany = data.randomBytesMany;
  }

  /** As the embedded engine's. @throws KeysteadError as there */
  rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer>;
  rewrap(sealed: string | Uint8Array, options?: RewrapOptions): Promise<string | Buffer> {
    return this.#data.rewrap(sealed, options);
  }

  /**
   * Local mode: seals and opens in this process, with keys that the server leases for an hour at most, each for one prefix of nonces. For keys of
   * XAES-256-GCM. It needs the right `leases.create` beside `data.encrypt` and `data.decrypt`; {@link close} ends it, too.
   * @throws KeysteadError `INVALID_ARGUMENT`
   * @example
   * const local = keystead.local("pii-email");
   * const sealed = await local.encrypt("anna@example.org", { context: { table: "person", column: "email" } });
   */
  local(target: KeyTarget, options: LocalOptions = {}): LocalCipher {
    const local = new LocalCipher(this, target, options, () => this.#locals.delete(local));
    this.#locals.add(local);
    return local;
  }

  /** Gives leases back, and ends connections once what is under way has ended. Closing again does nothing. */
  async close(): Promise<void> {
    await Promise.all([...this.#locals].map((local) => local.close()));
    await this.#http.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
