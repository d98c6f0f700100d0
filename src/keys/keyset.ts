import type { Algorithm, KeyUsage } from "../crypto/algorithm.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import type { Aead } from "../crypto/aead.ts";
import { binaryPrefix, formatLabel, textPrefix } from "../crypto/ciphertext.ts";
import { type CiphertextKind, type Context, createAadEncoder } from "../crypto/context.ts";
import type { KeyMaterial } from "../crypto/key-material.ts";
import { KeysteadError } from "../errors.ts";
import type { StoredRecord } from "../store/tables.ts";
import { assertHere, type StoreHistory } from "./store-history.ts";
import { permits, phaseOf, type VersionOperation, type VersionPhase } from "./version-state.ts";

/** What seals and opens with one version of an `encrypt` key. */
export interface VersionCipher {
  readonly aead: Aead;
  readonly textPrefix: string;
  readonly binaryPrefix: Buffer;
  readonly aad: (kind: CiphertextKind, context: Context | undefined) => Buffer;
}

/** The opened material of a version. */
export interface OpenedVersion {
  readonly material: KeyMaterial;
  /** Present for AEAD algorithms. */
  readonly cipher: VersionCipher | undefined;
}

/** One version as this process knows it. */
export interface LoadedVersion {
  readonly version: number;
  readonly label: string;
  readonly phase: VersionPhase;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** Undefined once destroyed, and while the material could not be opened yet. */
  readonly opened: OpenedVersion | undefined;
  readonly usage: VersionUse;
}

/** Uses of a version since the last flush; mutable on purpose, on the hot path. */
export interface VersionUse {
  opens: number;
  refusals: number;
  lastOpenedAt: number;
  lastRefusedAt: number;
}

/** The rows of a key, as one snapshot has them. */
export interface KeysetRows {
  readonly key: StoredRecord<"keys">;
  readonly versions: readonly StoredRecord<"versions">[];
  readonly history: StoreHistory;
}

/**
 * The versions of one key in this process. What their rows say (states, dates, pointer) is taken over at once by
 * {@link apply}; material that has to be opened by a KEK follows by {@link admit}.
 */
export class Keyset {
  readonly id: string;
  readonly name: string;
  readonly usages: ReadonlySet<string>;
  readonly algorithm: Algorithm;
  /** Why the newest material could not be opened; undefined when it could. */
  problem: unknown;
  readonly #opened = new Map<string, OpenedVersion>();
  readonly #uses = new Map<string, VersionUse>();
  #rows: KeysetRows;
  #versions: ReadonlyMap<string, LoadedVersion> = new Map();
  #byNumber: ReadonlyMap<number, LoadedVersion> = new Map();

  constructor(rows: KeysetRows) {
    const { key } = rows;
    this.id = key.id;
    this.name = key.name;
    this.usages = new Set(key.usages.split(","));
    this.algorithm = findAlgorithm(key.algorithm);
    this.#rows = rows;
    this.apply(rows);
  }

  /** Every version, oldest first. */
  get versions(): readonly LoadedVersion[] {
    return [...this.#versions.values()];
  }

  get highestVersion(): number {
    return Math.max(0, ...this.#byNumber.keys());
  }

  /** Number of the version that the pointer names, whatever its state. */
  get currentVersion(): number | undefined {
    return this.#rows.key.currentVersion ?? undefined;
  }

  /** Labels of versions whose material is stored and not opened. */
  get missing(): readonly string[] {
    return this.#rows.versions.filter((row) => row.material !== null && !this.#opened.has(describeVersion(row).label)).map(labelOf);
  }

  /** True when somebody was refused since the last flush. */
  get refused(): boolean {
    return this.versions.some(({ usage }) => usage.refusals > 0);
  }

  /** True when there is use to be written. */
  get used(): boolean {
    return this.versions.some(({ usage }) => usage.opens + usage.refusals > 0);
  }

  /** Takes over what a load or refresh read. */
  apply(rows: KeysetRows): void {
    this.#rows = rows;
    const versions = rows.versions.map((row) => this.#load(row));
    this.#versions = new Map(versions.map((version) => [version.label, version]));
    this.#byNumber = new Map(versions.map((version) => [version.version, version]));
  }

  /** Takes over opened material by label. */
  admit(opened: ReadonlyMap<string, OpenedVersion>): void {
    for (const [label, version] of opened) this.#opened.set(label, version);
    this.apply(this.#rows);
  }

  byLabel(label: string): LoadedVersion | undefined {
    return this.#versions.get(label);
  }

  byNumber(version: number): LoadedVersion | undefined {
    return this.#byNumber.get(version);
  }

  /** True when a version is current, or newer and on its way to be. */
  sealsWith(version: number): boolean {
    return version >= (this.currentVersion ?? 0) && this.#byNumber.get(version)?.phase === "active";
  }

  /** True when a version makes tokens of blind indexes, be it current or not. */
  indexesWith(version: number): boolean {
    const phase = this.#byNumber.get(version)?.phase;
    return this.usages.has("blind-index") && phase !== undefined && permits(phase, "index");
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
   * @throws KeysteadError `KEY_STATE`, `KEY_VERSION_EXPIRED`, `STORE_RESTORED`, `STORE_MOVED`; each names the remedy.
   */
  current(now: number): LoadedVersion {
    assertHere(this.#rows.history);
    const current = this.currentVersion === undefined ? undefined : this.#byNumber.get(this.currentVersion);
    if (current === undefined) {
      throw new KeysteadError("KEY_STATE", `key ${this.name} has no current version; run \`keystead keys activate\` or \`keys rotate\``);
    }
    const { label, phase, expiresAt, createdAt } = current;
    if (!permits(phase, "seal")) {
      throw new KeysteadError(
        "KEY_STATE",
        `the current version ${label} of key ${this.name} is ${phase} and protects nothing new; ${phase === "suspended" ? `run \`keystead keys resume ${this.name} ${String(current.version)}\`, or` : "run"} \`keystead keys rotate ${this.name}\``,
      );
    }
    if (expiresAt !== null && now >= expiresAt) {
      throw new KeysteadError(
        "KEY_VERSION_EXPIRED",
        `the current version ${label} of key ${this.name} expired on ${new Date(expiresAt).toISOString()}; run \`keystead keys rotate ${this.name}\``,
      );
    }
    const { history } = this.#rows;
    if (createdAt <= history.copiedAt && this.algorithm.kind === "aead") {
      throw new KeysteadError(
        "STORE_RESTORED",
        `the store is a copy, and what it was copied from may go on with version ${label} of key ${this.name}; run \`keystead keys rotate ${this.name}\``,
      );
    }
    if (createdAt <= history.restoredAt && this.algorithm.kind === "aead" && this.algorithm.messageLimit !== undefined) {
      throw new KeysteadError(
        "STORE_RESTORED",
        `the store was put back from a copy, so version ${label} of key ${this.name} could repeat a nonce; run \`keystead keys rotate ${this.name}\``,
      );
    }
    return current;
  }

  /** @throws KeysteadError `KEY_STATE`; each refusal is counted, but for versions that have never sealed anything. */
  assertPermits(version: LoadedVersion, operation: UseOfOldVersions, now: number): void {
    if (permits(version.phase, operation)) return;
    if (version.phase !== "pre-active") {
      version.usage.refusals += 1;
      version.usage.lastRefusedAt = now;
    }
    throw new KeysteadError(
      "KEY_STATE",
      `version ${version.label} of key ${this.name} is ${version.phase}: ${remedyFor(operation, version.phase)}`,
    );
  }

  /** The material of a version. @throws KeysteadError `KEY_VERSION_NOT_LOADED` while it could not be opened */
  material(version: LoadedVersion): OpenedVersion {
    if (version.opened !== undefined) return version.opened;
    throw this.notLoaded(version.label);
  }

  /** The error for a version that may come with the next refresh. */
  notLoaded(label: string): KeysteadError {
    const { problem } = this;
    const why = problem instanceof KeysteadError ? `, because its KEK does not open it: ${problem.message}` : "";
    return new KeysteadError(
      "KEY_VERSION_NOT_LOADED",
      `version ${label} of key ${this.name} is not loaded yet${why}; refresh() and retry`,
      {
        cause: problem,
      },
    );
  }

  #load(row: StoredRecord<"versions">): LoadedVersion {
    const { label, phase } = describeVersion(row);
    const { version, createdAt, expiresAt } = row;
    if (row.material === null) this.#opened.delete(label);
    let usage = this.#uses.get(label);
    if (usage === undefined) {
      usage = { opens: 0, refusals: 0, lastOpenedAt: 0, lastRefusedAt: 0 };
      this.#uses.set(label, usage);
    }
    return { version, label, phase, createdAt, expiresAt, opened: this.#opened.get(label), usage };
  }
}

/** What is done with versions that need not be current. */
type UseOfOldVersions = Exclude<VersionOperation, "seal">;

const always: Partial<Record<VersionPhase, string>> = {
  "pre-active": "wait for its activation date or run `keystead keys activate`",
  destroyed: "nothing opens its data any more",
};

/** What can be done about a refusal, by what was tried. */
const remedies: Readonly<Record<UseOfOldVersions, Partial<Record<VersionPhase, string>>>> = {
  open: {
    ...always,
    suspended: "run `keystead keys resume`, or move the data: `keystead datasets reencrypt`, and `keystead rewrap` outside datasets",
    "destruction-pending":
      "is its data still needed, run `keystead keys cancel-destroy` and move it: `keystead datasets reencrypt`, and `keystead rewrap` outside datasets",
    compromised: "only what moves its data may open it: `keystead datasets reencrypt`, and `keystead rewrap` outside datasets",
  },
  reencrypt: always,
  verify: {
    ...always,
    suspended: "run `keystead keys resume`",
    "destruction-pending": "run `keystead keys cancel-destroy` if it is still needed",
    compromised: "its tags prove nothing any more; make new ones with the current version",
  },
  index: {
    ...always,
    suspended: "jobs alone make its tokens until `keystead keys resume`; search by another index",
    "destruction-pending": "jobs alone make its tokens until `keystead keys cancel-destroy`; search by another index",
    compromised: "jobs alone make its tokens; make the index anew under the current version with `keystead datasets generation start`",
  },
};

function remedyFor(operation: UseOfOldVersions, phase: VersionPhase): string {
  return remedies[operation][phase] ?? "see `keystead keys show`";
}

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
  return { label: labelOf(record), phase: phaseOf(record) };
}

function labelOf({ version, fingerprint }: Pick<StoredRecord<"versions">, "version" | "fingerprint">): string {
  return formatLabel(version, fingerprint);
}
