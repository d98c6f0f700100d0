import type { Algorithm, KeyUsage } from "../crypto/algorithm.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import type { Aead } from "../crypto/aead.ts";
import { binaryPrefix, formatLabel, textPrefix } from "../crypto/ciphertext.ts";
import { type CiphertextKind, type Context, createAadEncoder } from "../crypto/context.ts";
import type { KeyMaterial } from "../crypto/key-material.ts";
import { KeysteadError } from "../errors.ts";
import type { StoredRecord } from "../store/tables.ts";
import { permits, phaseOf, type VersionOperation, type VersionPhase } from "./version-state.ts";

/** What seals and opens with one version of an `encrypt` key. */
export interface VersionCipher {
  readonly aead: Aead;
  readonly textPrefix: string;
  readonly binaryPrefix: Buffer;
  readonly aad: (kind: CiphertextKind, context: Context | undefined) => Buffer;
}

/** One version as it is loaded in this process. */
export interface LoadedVersion {
  readonly version: number;
  readonly label: string;
  readonly phase: VersionPhase;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** Undefined once destroyed. */
  readonly material: KeyMaterial | undefined;
  /** Present for AEAD algorithms. */
  readonly cipher: VersionCipher | undefined;
  readonly usage: VersionUse;
}

/** Uses of a version since the last flush; mutable on purpose, on the hot path. */
export interface VersionUse {
  opens: number;
  refusals: number;
  lastOpenedAt: number;
  lastRefusedAt: number;
}

/** The opened versions of one key, replaced as a whole by each refresh. */
export class Keyset {
  readonly id: string;
  readonly name: string;
  readonly purpose: string;
  readonly usages: ReadonlySet<string>;
  readonly algorithm: Algorithm;
  #versions: ReadonlyMap<string, LoadedVersion> = new Map();
  #current: LoadedVersion | undefined;
  #highest = 0;
  #restoredAt = 0;

  constructor(record: StoredRecord<"keys">) {
    this.id = record.id;
    this.name = record.name;
    this.purpose = record.purpose;
    this.usages = new Set(record.usages.split(","));
    this.algorithm = findAlgorithm(record.algorithm);
  }

  /** Every version, oldest first. */
  get versions(): readonly LoadedVersion[] {
    return [...this.#versions.values()];
  }

  get highestVersion(): number {
    return this.#highest;
  }

  /** Takes over what a load or refresh read. `restoredAt`: when the store was found put back from a copy, or 0. */
  apply(currentVersion: number | null, versions: readonly LoadedVersion[], restoredAt: number): void {
    this.#versions = new Map(versions.map((version) => [version.label, version]));
    this.#current = versions.find((version) => version.version === currentVersion);
    this.#highest = versions.reduce((highest, { version }) => Math.max(highest, version), 0);
    this.#restoredAt = restoredAt;
  }

  byLabel(label: string): LoadedVersion | undefined {
    return this.#versions.get(label);
  }

  byNumber(version: number): LoadedVersion | undefined {
    for (const loaded of this.#versions.values()) if (loaded.version === version) return loaded;
    return undefined;
  }

  /** @throws KeysteadError `KEY_USAGE` */
  assertUsage(usage: KeyUsage): void {
    if (!this.usages.has(usage)) {
      const has = [...this.usages].join(", ");
      throw new KeysteadError("KEY_USAGE", `key ${this.name} is for ${has}, not for ${usage}; use or create a key of usage ${usage}`);
    }
  }

  /**
   * The version that protects new data.
   * @param now the wall clock's time
   * @throws KeysteadError `KEY_STATE`, `KEY_VERSION_EXPIRED`, `STORE_RESTORED`; each names the remedy.
   */
  current(now: number): LoadedVersion {
    const current = this.#current;
    if (current === undefined) {
      throw new KeysteadError("KEY_STATE", `key ${this.name} has no current version; run \`keystead keys activate\` or \`keys rotate\``);
    }
    if (!permits(current.phase, "seal")) {
      throw new KeysteadError(
        "KEY_STATE",
        `the current version ${current.label} of key ${this.name} is ${current.phase} and protects nothing new; rotate the key or resume the version`,
      );
    }
    if (current.expiresAt !== null && now >= current.expiresAt) {
      throw new KeysteadError(
        "KEY_VERSION_EXPIRED",
        `the current version ${current.label} of key ${this.name} expired on ${new Date(current.expiresAt).toISOString()}; run \`keystead keys rotate ${this.name}\``,
      );
    }
    if (current.createdAt <= this.#restoredAt && this.algorithm.kind === "aead" && this.algorithm.messageLimit !== undefined) {
      throw new KeysteadError(
        "STORE_RESTORED",
        `the store was put back from a copy, so version ${current.label} of key ${this.name} could repeat a nonce; run \`keystead keys rotate ${this.name}\``,
      );
    }
    return current;
  }

  /** @throws KeysteadError `KEY_STATE`; a refusal of a version that waits for destruction is counted. */
  assertPermits(version: LoadedVersion, operation: VersionOperation, now: number): void {
    if (permits(version.phase, operation)) return;
    version.usage.refusals += 1;
    version.usage.lastRefusedAt = now;
    throw new KeysteadError("KEY_STATE", `version ${version.label} of key ${this.name} is ${version.phase}: ${remedies[version.phase]}`);
  }
}

const remedies: Readonly<Record<VersionPhase, string>> = {
  "pre-active": "wait for its activation date or run `keystead keys activate`",
  active: "only the current version protects new data",
  suspended: "run `keystead keys resume`, or move the data to the current version by re-encryption",
  deactivated: "it protects nothing new; rotate the key",
  "destruction-pending": "run `keystead keys cancel-destroy` if its data is still needed, then re-encrypt it",
  compromised: "only a re-encryption job may open it",
  destroyed: "nothing opens its data any more",
};

/** Builds the cipher of a version with an AEAD algorithm. */
export function createVersionCipher(keyId: string, keyName: string, label: string, aead: Aead): VersionCipher {
  const encoders = new Map<CiphertextKind, (context: Context | undefined) => Buffer>();
  return {
    aead,
    textPrefix: textPrefix(keyName, label),
    binaryPrefix: binaryPrefix(keyName, label),
    aad: (kind, context) => {
      let encode = encoders.get(kind);
      if (encode === undefined) {
        encode = createAadEncoder(kind, keyId, label);
        encoders.set(kind, encode);
      }
      return encode(context);
    },
  };
}

/** Label and phase of a stored version. */
export function describeVersion(record: StoredRecord<"versions">): { readonly label: string; readonly phase: VersionPhase } {
  return { label: formatLabel(record.version, record.fingerprint), phase: phaseOf(record) };
}
