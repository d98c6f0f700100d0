import { isKeyName } from "../crypto/ciphertext.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { describeVersion } from "./keyset.ts";
import type { VersionPhase } from "./version-state.ts";

/** Milliseconds of a day. */
export const day = 86_400_000;

/** A key version as services report it. Instants are ISO 8601, UTC. */
export interface VersionInfo {
  readonly version: number;
  /** `3-k7f2qd` */
  readonly label: string;
  readonly state: VersionPhase;
  readonly current: boolean;
  readonly stateSince: string;
  readonly stateReason: string;
  readonly createdAt: string;
  readonly activateAt?: string;
  readonly expiresAt?: string;
  /** When a scheduled destruction may execute. */
  readonly destroyAt?: string;
}

/** A key as services report it. */
export interface KeyInfo {
  readonly id: string;
  readonly name: string;
  readonly purpose: string;
  readonly usages: readonly string[];
  readonly algorithm: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
  readonly rotationDays?: number;
  /** When the rotation policy asks for the next version. */
  readonly rotationDue?: string;
  readonly currentVersion?: number;
  readonly createdAt: string;
  readonly versions: readonly VersionInfo[];
}

/** Looks a key up by name or alias; undefined when there is none, also for text that can't be either. */
export async function lookUpKey(tables: StoreTables, nameOrAlias: string): Promise<StoredRecord<"keys"> | undefined> {
  const [byName] = isKeyName(nameOrAlias) ? await tables.keys.list({ name: nameOrAlias }) : [];
  if (byName !== undefined) return byName;
  const alias = isAlias(nameOrAlias) ? await tables.aliases.get({ alias: nameOrAlias }) : undefined;
  return alias && tables.keys.get({ id: alias.keyId });
}

/** Finds a key by name or alias. @throws KeysteadError `UNKNOWN_KEY` */
export async function findKey(tables: StoreTables, nameOrAlias: string): Promise<StoredRecord<"keys">> {
  const key = await lookUpKey(tables, nameOrAlias);
  if (key === undefined) throw unknownKey(nameOrAlias);
  return key;
}

/** Finds a key by its id. @throws KeysteadError `UNKNOWN_KEY` */
export async function findKeyById(tables: StoreTables, id: string): Promise<StoredRecord<"keys">> {
  const key = await tables.keys.get({ id });
  if (key === undefined) throw unknownKeyId();
  return key;
}

/** True for a name that an alias may have: 1–255 well-formed characters without control characters. */
export function isAlias(text: string): boolean {
  return text.length >= 1 && text.length <= 255 && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

/** The error for a name that no key and no alias has. What does not look like a key's name may be a swapped plaintext: it is not repeated. */
export function unknownKey(nameOrAlias: string): KeysteadError {
  const named = isKeyName(nameOrAlias) ? `is named ${JSON.stringify(nameOrAlias)}` : "has this name";
  return new KeysteadError("UNKNOWN_KEY", `no key or alias ${named}; list them with \`keystead keys list\``);
}

/** The error for a key id that the store doesn't have. */
export function unknownKeyId(): KeysteadError {
  return new KeysteadError("UNKNOWN_KEY", "no key has this id; list the keys with `keystead keys list`");
}

/** Finds a version of a key. @throws KeysteadError `UNKNOWN_KEY_VERSION` */
export async function findVersion(tables: StoreTables, key: StoredRecord<"keys">, version: number): Promise<StoredRecord<"versions">> {
  const found = Number.isSafeInteger(version) ? await tables.versions.get({ keyId: key.id, version }) : undefined;
  if (found !== undefined) return found;
  throw new KeysteadError(
    "UNKNOWN_KEY_VERSION",
    `key ${key.name} has no version ${String(version)}; see \`keystead keys show ${key.name}\``,
  );
}

/** Reads a key with its versions and aliases. */
export async function describeKey(tables: StoreTables, key: StoredRecord<"keys">): Promise<KeyInfo> {
  const versions = await tables.versions.list({ keyId: key.id });
  const aliases = await tables.aliases.list({ keyId: key.id });
  const current = versions.find((version) => version.version === key.currentVersion);
  return {
    id: key.id,
    name: key.name,
    purpose: key.purpose,
    usages: key.usages.split(","),
    algorithm: key.algorithm,
    tags: readTags(key.tags),
    aliases: aliases.map((row) => row.alias),
    ...(key.rotationDays !== null && { rotationDays: key.rotationDays }),
    ...(key.rotationDays !== null && current !== undefined && { rotationDue: instant(current.createdAt + key.rotationDays * day) }),
    ...(key.currentVersion !== null && { currentVersion: key.currentVersion }),
    createdAt: instant(key.createdAt),
    versions: versions.map((row) => versionInfo(row, row === current)),
  };
}

/** ISO 8601 text of an instant. */
export function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function versionInfo(row: StoredRecord<"versions">, current: boolean): VersionInfo {
  const { label, phase } = describeVersion(row);
  return {
    version: row.version,
    label,
    state: phase,
    current,
    stateSince: instant(row.stateAt),
    stateReason: row.stateReason,
    createdAt: instant(row.createdAt),
    ...(row.activateAt !== null && { activateAt: instant(row.activateAt) }),
    ...(row.expiresAt !== null && { expiresAt: instant(row.expiresAt) }),
    ...(row.destroyAt !== null && { destroyAt: instant(row.destroyAt) }),
  };
}

function readTags(json: string): Record<string, string> {
  const parsed: unknown = JSON.parse(json);
  const entries = typeof parsed === "object" && parsed !== null ? Object.entries(parsed) : [];
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}
