import type { KeysteadApi } from "../api/keystead-api.ts";
import { accessCalls } from "./access-calls.ts";
import { auditCalls } from "./audit-calls.ts";
import { type DataCalls, dataCalls, type RewrapOptions } from "./data-calls.ts";
import { type DataStreams, dataStreams } from "./data-streams.ts";
import { datasetCalls } from "./dataset-calls.ts";
import type { HttpCalls } from "./http-calls.ts";
import { keyCalls } from "./key-calls.ts";
import { leaseCalls } from "./lease-calls.ts";
import { registryCalls } from "./registry-calls.ts";

type Call<Name extends keyof KeysteadApi> = KeysteadApi[Name] extends (...args: infer Args) => infer Result
  ? (...args: Args) => Result
  : never;

/** Every call of a served engine: the methods and types of the embedded one, and streams of items. */
export class ServedCalls implements KeysteadApi {
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
  readonly #data: DataCalls;

  constructor(http: HttpCalls) {
    this.#data = dataCalls(http);
    const { rewrap: _, ...data } = this.#data;
    const { purposes, routes, keks, settings } = registryCalls(http);
    const { datasets, jobs, backgroundJobs } = datasetCalls(http);
    const { policies, principals, tokens, approvals, whoami, doctor } = accessCalls(http);
    this.keys = keyCalls(http);
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
    this.audit = auditCalls(http);
    this.metrics = { read: () => http.text("GET /metrics") };
    this.dataKeys = data.dataKeys;
    this.streams = dataStreams(http);
    this.leases = leaseCalls(http);
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
}
