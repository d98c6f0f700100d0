import type { KeyObject } from "node:crypto";
import { subjectOf } from "../access/subject.ts";
import { assertArguments, bytes, choice, listOf, number, object, optional, text } from "../arguments.ts";
import { encodeBase64url } from "../crypto/base64url.ts";
import { deriveXaes256GcmKey } from "../crypto/xaes-256-gcm.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { asked, askedOnKey, audited } from "./audited.ts";
import { addToCounter } from "./counters.ts";
import { type BatchItem, type DataAct, DataActs, type DataDone, type ItemProblem } from "./data-acts.ts";
import type { Engine } from "./engine.ts";
import type { NamedKey } from "./key-names.ts";
import { lookUpKey, unknownKey } from "./key-records.ts";
import { keyTarget, type KeyTarget } from "./key-target.ts";
import type { Keyset, LoadedVersion } from "./keyset.ts";
import { isLeaseId, newLeaseId } from "./lease-id.ts";
import {
  describeLease,
  endedLease,
  findLease,
  type FoundLease,
  leaseLimits,
  leaseState,
  type LeaseInfo,
  unknownLease,
  withNames,
} from "./lease-records.ts";

const prefixBytes = 12;
const rowsPerPage = 100;

/** What a lease is for. */
export type LeaseUse = "seal" | "open";

/** A derived key, and what belongs to it in a ciphertext. */
export interface LeasedKey {
  readonly id: string;
  /** Name of the key. */
  readonly key: string;
  /** Part of what ciphertext is bound to. */
  readonly keyId: string;
  /** Label of the version. */
  readonly label: string;
  /** The first 12 bytes of each nonce. */
  readonly prefix: Buffer;
  /** The AES-256-GCM key of nonces with that prefix, and of no others: 32 bytes. */
  readonly aesKey: Buffer;
  /** Milliseconds that it is good for, from when it was asked for. */
  readonly lifetime: number;
}

/** What a client makes ciphertext with. */
export interface SealLease extends LeasedKey {
  /** Messages that may be sealed. */
  readonly messages: number;
  /** Bytes of plaintext that may be sealed. */
  readonly bytes: number;
}

/** What ciphertext says of itself: its key, its label, and the first 12 bytes of its payload. */
export interface LeasedPrefix {
  readonly key: string;
  readonly label: string;
  readonly prefix: Uint8Array;
}

/** A lease that somebody goes on with. */
export interface LeaseCheck {
  readonly id: string;
  readonly use: LeaseUse;
}

/** What leases are for. */
export interface SealLeaseOptions {
  /** Name of the dataset that will hold the ciphertext: the census speaks for it then. */
  readonly dataset?: string;
}

/** Which leases are listed. */
export interface LeaseFilter {
  /** Name or alias of a key. */
  readonly key?: string;
}

const rules = {
  seal: { target: keyTarget, options: object<SealLeaseOptions>({ dataset: optional(text) }) },
  open: { sealed: object<LeasedPrefix>({ key: text, label: text, prefix: bytes }) },
  renew: { leases: listOf(object<LeaseCheck>({ id: text, use: choice("seal", "open") })) },
  release: { id: text, used: number },
  list: { filter: object<LeaseFilter>({ key: optional(text) }) },
  revoke: { id: text, options: object<{ readonly reason?: string }>({ reason: optional(text) }) },
  show: { id: text },
} as const;

/** The right that a use needs beside `leases.create`. */
const rights: Readonly<Record<LeaseUse, string>> = { seal: "data.encrypt", open: "data.decrypt" };

/**
 * Derived keys that clients have for a while, to seal and open by themselves what has one prefix of a nonce. Each lease is recorded.
 * Policies are asked for `leases.create`, and for `data.encrypt` or `data.decrypt`; where one of them goes by contexts nothing is
 * leased, as nobody here sees the contexts of what a client does.
 */
export class LeaseService {
  readonly #engine: Engine;
  readonly #acts: DataActs;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#acts = new DataActs(engine);
  }

  /**
   * Leases a fresh prefix of the current version with its key: for 2^20 messages, 64 GiB and an hour at most. All messages count as sealed at
   * once; {@link release} gives the rest back.
   * @throws KeysteadError `ACCESS_DENIED`, `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `UNKNOWN_DATASET`, `KEY_USAGE` for keys of other algorithms than
   *   XAES-256-GCM, `KEY_STATE`, `KEY_VERSION_EXPIRED`, `STORE_RESTORED`
   */
  async seal(target: KeyTarget, options: SealLeaseOptions = {}): Promise<SealLease> {
    assertArguments({ target, options }, rules.seal);
    const { dataset } = options;
    return this.#perform({ target, dataset }, async (key) => {
      const { names, registry, clock, random, store, caller } = this.#engine;
      await this.#authorize(key, "seal", dataset);
      const datasetId = await names.datasetId(dataset);
      const keyset = await this.#keyset(key.id);
      registry.lease.check();
      const now = clock.now();
      const version = keyset.current(now);
      const prefix = random.bytes(prefixBytes);
      const expiresAt = Math.min(now + leaseLimits.milliseconds, version.expiresAt ?? Number.POSITIVE_INFINITY);
      const lease = {
        id: newLeaseId(now, random),
        prefix: encodeBase64url(prefix),
        keyId: key.id,
        version: version.version,
        datasetId,
        principal: subjectOf(caller.principal),
        messages: leaseLimits.messages,
        createdAt: now,
        expiresAt,
        releasedAt: null,
        revokedAt: null,
        revokedBy: null,
      };
      const aesKey = deriveXaes256GcmKey(materialOf(keyset, version), prefix);
      await store.transaction(async (tables) => {
        await tables.leases.insert(lease);
        await addToCounter(tables, { keyId: key.id, version: version.version, datasetId }, { seals: lease.messages });
      });
      const { id, messages } = lease;
      const { label } = version;
      const result = {
        ...{ id, key: key.name, keyId: key.id, label, prefix, aesKey },
        ...{ lifetime: expiresAt - now, messages, bytes: leaseLimits.bytes },
      };
      return { result, label, detail: { act: "seal", lease: id, prefix: lease.prefix, messages } };
    });
  }

  /**
   * Leases the key of a prefix that some client sealed with, to open by oneself what begins with it.
   * @throws KeysteadError `ACCESS_DENIED`, `UNKNOWN_KEY`, `UNKNOWN_FINGERPRINT`, `KEY_STATE`, `KEY_USAGE`; `UNKNOWN_LEASE` for a prefix of
   *   the server's own, and for one whose lease was revoked: decrypt by a served call
   */
  async open(sealed: LeasedPrefix): Promise<LeasedKey> {
    assertArguments({ sealed }, rules.open);
    const prefix = encodeBase64url(sealed.prefix);
    return this.#perform({ target: sealed.key }, async (key) => {
      const { clock, registry, store } = this.#engine;
      await this.#authorize(key, "open");
      const keyset = await this.#keyset(key.id);
      const [row] = await store.read((tables) => tables.leases.list({ prefix }));
      const version = keyset.byLabel(sealed.label);
      if (row?.keyId !== key.id || row.version !== version?.version || row.revokedAt !== null) throw notVouchedFor();
      registry.lease.check();
      const now = clock.now();
      keyset.assertPermits(version, "open", now);
      const aesKey = deriveXaes256GcmKey(materialOf(keyset, version), sealed.prefix);
      version.usage.opens += 1;
      version.usage.lastOpenedAt = now;
      const { id } = row;
      const { label } = version;
      const lifetime = leaseLimits.milliseconds;
      const result = { id, key: key.name, keyId: key.id, label, prefix: Buffer.from(sealed.prefix), aesKey, lifetime };
      return { result, label, detail: { act: "open", lease: id, prefix } };
    });
  }

  /**
   * Says of each lease whether it still holds: neither revoked nor released nor expired, the caller may still do what it is for, and the version
   * may, too. Whoever uses leases asks at least every 60 s, and uses none that was not affirmed for so long. One record for all.
   * @returns for each in order its id, or why it holds no more
   * @throws KeysteadError `TOO_LARGE` for more than 1,000, `AUDIT_UNAVAILABLE`
   */
  async renew(leases: readonly LeaseCheck[]): Promise<({ readonly id: string } | ItemProblem)[]> {
    assertArguments({ leases }, rules.renew);
    const { store, registry } = this.#engine;
    await registry.refresh();
    const found = await store.read((tables) =>
      Promise.all(leases.map(async ({ id, use }) => ({ use, lease: await findLease(tables, id) }))),
    );
    const items = found.map(({ use, lease }): BatchItem<{ readonly id: string }> => {
      // Whoever may have no leases does not learn which there are.
      if (lease === undefined) return { work: () => Promise.reject(endedLease()) };
      const { key: target, dataset } = lease;
      return { target, ...(use === "seal" && { dataset }), work: (key) => this.#renew(key, use, lease) };
    });
    return this.#acts.performEach("leases.create", items, ({ id }) => id, { detail: { act: "renew" } });
  }

  /**
   * Ends a sealing lease of one's own, and gives back the messages that were not sealed, but one: a version for which a lease was taken
   * never looks as if it had sealed nothing. Releasing again does nothing.
   * @param used messages that were sealed
   * @throws KeysteadError `UNKNOWN_LEASE`, `ACCESS_DENIED`, `INVALID_ARGUMENT` for a number outside of 0 … 2^20
   */
  async release(id: string, used: number): Promise<void> {
    assertArguments({ id, used }, rules.release);
    if (!Number.isSafeInteger(used) || used < 0 || used > leaseLimits.messages)
      throw new KeysteadError("INVALID_ARGUMENT", `a lease has sealed 0 to ${String(leaseLimits.messages)} messages`);
    const { store, clock, caller } = this.#engine;
    const found = await store.read((tables) => findLease(tables, id));
    await this.#perform(found === undefined ? {} : { target: found.key }, async () => {
      await store.transaction(async (tables) => {
        const row = isLeaseId(id) ? await tables.leases.get({ id }) : undefined;
        if (row?.principal !== subjectOf(caller.principal)) throw endedLease();
        if (row.releasedAt !== null) return;
        await tables.leases.update({ ...row, messages: used, releasedAt: clock.now() });
        await addToCounter(tables, row, { seals: Math.max(used, 1) - row.messages });
      });
      const label = found?.label ?? "";
      return { result: undefined, label, detail: { act: "release", lease: id, messages: used } };
    });
  }

  /** Leases of the last hour that are in force, the newest first; at most 1,000. @throws KeysteadError `UNKNOWN_KEY` */
  async list(filter: LeaseFilter = {}): Promise<LeaseInfo[]> {
    assertArguments({ filter }, rules.list);
    const { key } = filter;
    const act = { action: "leases.list", terms: filter };
    return key === undefined
      ? asked(this.#engine, act, () => this.#inForce())
      : askedOnKey(this.#engine, key, act, (nameOrAlias) => this.#inForce(nameOrAlias));
  }

  /** One lease, in force or not. @throws KeysteadError `UNKNOWN_LEASE` */
  async show(id: string): Promise<LeaseInfo> {
    assertArguments({ id }, rules.show);
    return this.#onLease(id, (key) => asked(this.#engine, { action: "leases.list", ...key, terms: { id } }, () => this.#describe(id)));
  }

  /**
   * Revokes a lease: its holder stops within 60 s, and nobody gets a lease for opening its prefix any more. What was sealed with it is opened by
   * served calls as ever.
   * @throws KeysteadError `UNKNOWN_LEASE`, `ACCESS_DENIED`
   */
  async revoke(id: string, options: { readonly reason?: string } = {}): Promise<LeaseInfo> {
    assertArguments({ id, options }, rules.revoke);
    const { store, clock, caller } = this.#engine;
    return this.#onLease(id, (key, label) =>
      audited(this.#engine, { action: "leases.revoke", ...key, ...label, ...options, ...detailOf(id), terms: { id } }, async () => {
        await store.transaction(async (tables) => {
          const row = isLeaseId(id) ? await tables.leases.get({ id }) : undefined;
          if (row === undefined) throw unknownLease();
          if (row.revokedAt === null)
            await tables.leases.update({ ...row, revokedAt: clock.now(), revokedBy: subjectOf(caller.principal) });
        });
        return this.#describe(id);
      }),
    );
  }

  /** Each is recorded, also when the process itself leases. */
  #perform<T>(act: Omit<DataAct, "action">, work: (key: NamedKey) => Promise<DataDone<T>>): Promise<T> {
    return this.#acts.perform({ ...act, action: "leases.create", recorded: true }, work);
  }

  /** @throws KeysteadError `ACCESS_DENIED` */
  async #authorize({ name, purpose }: NamedKey, use: LeaseUse, dataset?: string): Promise<void> {
    const { access, caller } = this.#engine;
    const resource = { key: name, purpose, ...(dataset !== undefined && { dataset }) };
    await access.authorize(caller, rights[use], resource);
    for (const action of ["leases.create", rights[use]]) {
      if ((await access.asksContext?.(caller, action, resource)) !== true) continue;
      throw new KeysteadError(
        "ACCESS_DENIED",
        `a policy makes ${action} with key ${name} depend on the context, which nobody sees where a lease is used; make served calls, or ` +
          "change that policy (`keystead policy explain` names it)",
      );
    }
  }

  async #renew(key: NamedKey, use: LeaseUse, { row, dataset }: FoundLease): Promise<{ readonly id: string }> {
    const { caller, clock, registry } = this.#engine;
    await this.#authorize(key, use, use === "seal" ? dataset : undefined);
    const keyset = await registry.get(row.keyId);
    const now = clock.now();
    const version = keyset.byNumber(row.version);
    if (version === undefined || row.revokedAt !== null) throw endedLease();
    if (use === "open") {
      keyset.assertPermits(version, "open", now);
      return { id: row.id };
    }
    if (row.principal !== subjectOf(caller.principal) || leaseState(row, now) !== "in force") throw endedLease();
    if (keyset.current(now).version === row.version) return { id: row.id };
    throw new KeysteadError("KEY_STATE", `version ${version.label} of key ${key.name} is not the current one any more; take a new lease`);
  }

  /** The keyset as it is now, of a key that can be leased. */
  async #keyset(keyId: string): Promise<Keyset> {
    const { registry } = this.#engine;
    await registry.refresh();
    const keyset = await registry.get(keyId);
    keyset.assertUsage("encrypt");
    if (keyset.algorithm.name === "XAES-256-GCM") return keyset;
    throw new KeysteadError(
      "KEY_USAGE",
      `key ${keyset.name} is of ${keyset.algorithm.name}, and only XAES-256-GCM has a key for each prefix that can be leased alone; ` +
        "make served calls, or use a key of XAES-256-GCM",
    );
  }

  /** An act on a lease is one on its key, by name. */
  async #onLease<T>(id: string, work: (key: { readonly key?: string }, label: { readonly version?: string }) => Promise<T>): Promise<T> {
    const found = await this.#engine.store.read((tables) => findLease(tables, id));
    return found === undefined ? work({}, {}) : work({ key: found.key }, { version: found.label });
  }

  #inForce(nameOrAlias?: string): Promise<LeaseInfo[]> {
    const { clock, store } = this.#engine;
    return store.read(async (tables) => {
      const now = clock.now();
      const key = nameOrAlias === undefined ? undefined : await lookUpKey(tables, nameOrAlias);
      if (nameOrAlias !== undefined && key === undefined) throw unknownKey(nameOrAlias);
      const rows = await rowsInForce(tables, key === undefined ? {} : { keyId: key.id }, now);
      const found = await Promise.all(rows.map((lease) => withNames(tables, lease)));
      return found.map((lease) => describeLease(lease, now));
    });
  }

  async #describe(id: string): Promise<LeaseInfo> {
    const { store, clock } = this.#engine;
    const found = await store.read((tables) => findLease(tables, id));
    if (found === undefined) throw unknownLease();
    return describeLease(found, clock.now());
  }
}

/** Ids are in the order of time, so what is older than any lease in force ends the search. */
async function rowsInForce(tables: StoreTables, where: { readonly keyId?: string }, now: number): Promise<StoredRecord<"leases">[]> {
  const found: StoredRecord<"leases">[] = [];
  for (let after: { readonly id: string } | undefined; found.length < 1_000;) {
    const page = await tables.leases.list(where, { limit: rowsPerPage, descending: true, ...(after !== undefined && { after }) });
    found.push(...page.filter((row) => leaseState(row, now) === "in force"));
    const last = page.at(-1);
    if (last === undefined || page.length < rowsPerPage || last.createdAt + leaseLimits.milliseconds <= now) break;
    after = { id: last.id };
  }
  return found.slice(0, 1_000);
}

function materialOf(keyset: Keyset, version: LoadedVersion): KeyObject {
  return keyset.material(version).material.key;
}

function detailOf(id: string): { readonly detail?: { readonly lease: string } } {
  return isLeaseId(id) ? { detail: { lease: id } } : {};
}

function notVouchedFor(): KeysteadError {
  return new KeysteadError("UNKNOWN_LEASE", "no lease vouches for what this ciphertext begins with; decrypt it by a served call");
}
