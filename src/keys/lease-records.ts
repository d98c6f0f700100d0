import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { instant } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { isLeaseId } from "./lease-id.ts";

/** What a sealing lease is good for at most. */
export const leaseLimits = { messages: 2 ** 20, bytes: 2 ** 36, milliseconds: 3_600_000 } as const;

/** What became of a lease. */
export type LeaseState = "in force" | "expired" | "released" | "revoked";

/** A lease, without its key. */
export interface LeaseInfo {
  readonly id: string;
  readonly key: string;
  /** Label of the version. */
  readonly version: string;
  readonly dataset?: string;
  /** What the payload of each of its ciphertexts begins with: 16 characters of base64url. */
  readonly prefix: string;
  /** Whose it is: `<source>:<id>`. */
  readonly principal: string;
  readonly state: LeaseState;
  /** Messages that count as sealed: all that were leased, or those that were used when it was released. */
  readonly messages: number;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly revokedBy?: string;
}

/** A lease's row with the names that belong to it. */
export interface FoundLease {
  readonly row: StoredRecord<"leases">;
  /** Name of the key. */
  readonly key: string;
  /** Label of the version. */
  readonly label: string;
  /** Name of the dataset that it seals for. */
  readonly dataset?: string;
}

/** The lease of an id; undefined when there is none. */
export async function findLease(tables: StoreTables, id: string): Promise<FoundLease | undefined> {
  const row = isLeaseId(id) ? await tables.leases.get({ id }) : undefined;
  return row === undefined ? undefined : withNames(tables, row);
}

/** A row with the names that belong to it. */
export async function withNames(tables: StoreTables, row: StoredRecord<"leases">): Promise<FoundLease> {
  const key = await tables.keys.get({ id: row.keyId });
  const version = await tables.versions.get({ keyId: row.keyId, version: row.version });
  if (key === undefined || version === undefined)
    throw new KeysteadError("STORE_TAMPERED", `lease ${row.id} is of a key version that is not there; restore the store from a backup`);
  const dataset = row.datasetId === "" ? undefined : await tables.datasets.get({ id: row.datasetId });
  return { row, key: key.name, label: describeVersion(version).label, ...(dataset !== undefined && { dataset: dataset.name }) };
}

/** What became of a lease by a time. */
export function leaseState({ revokedAt, releasedAt, expiresAt }: StoredRecord<"leases">, now: number): LeaseState {
  if (revokedAt !== null) return "revoked";
  if (releasedAt !== null) return "released";
  return now >= expiresAt ? "expired" : "in force";
}

/** What callers see of a lease. */
export function describeLease({ row, key, label, dataset }: FoundLease, now: number): LeaseInfo {
  const { id, prefix, principal, messages, createdAt, expiresAt, revokedBy } = row;
  return {
    id,
    key,
    version: label,
    ...(dataset !== undefined && { dataset }),
    prefix,
    principal,
    state: leaseState(row, now),
    messages,
    createdAt: instant(createdAt),
    expiresAt: instant(expiresAt),
    ...(revokedBy !== null && { revokedBy }),
  };
}

/** The error for an id of no lease. */
export function unknownLease(): KeysteadError {
  return new KeysteadError("UNKNOWN_LEASE", "no lease has this id; `keystead leases list` shows those in force");
}

/** The error for an id of no lease that its holder may use. */
export function endedLease(): KeysteadError {
  return new KeysteadError("UNKNOWN_LEASE", "no lease in force has this id; take a new one");
}
