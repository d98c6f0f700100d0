import { createSecretKey } from "node:crypto";
import { type AlgorithmName, algorithms } from "../../src/crypto/algorithms.ts";
import { formatLabel } from "../../src/crypto/ciphertext.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { LocalKek } from "../../src/kek/local/local-kek.ts";
import { KeysetKey } from "../../src/keys/sealed-material.ts";
import type { NewRecord } from "../../src/store/tables.ts";
import { goldenClock, goldenRandom, shake } from "./source.ts";

/** The store that all golden files belong to. */
export const store = { id: "60164e57-0ead-4000-8000-000000000001", kekUri: "local:main", createdAt: Date.UTC(2026, 11, 31) } as const;

/** Its master key, and how it stands in a file. */
export const masterKey = {
  name: "main",
  bytes: shake("keystead golden v1 master key", 32),
  get line(): string {
    return `keystead-master-v1:${this.name}:${this.bytes.toString("base64url")}\n`;
  },
} as const;

/** Its store key. */
export const storeKey = shake("keystead golden v1 store key", 32);

interface KeyPlan {
  readonly name: string;
  readonly purpose: string;
  readonly usages: string;
  readonly algorithm: AlgorithmName;
  readonly versions: readonly number[];
}

/** Usages are those that Keystead gives; two at once stand for what a foreign API may ask for later. */
const plans: readonly KeyPlan[] = [
  { name: "pii-email", purpose: "pii", usages: "encrypt", algorithm: "XAES-256-GCM", versions: [1, 2] },
  { name: "acme/bank-account", purpose: "financial", usages: "encrypt", algorithm: "AES-256-GCM", versions: [3] },
  { name: "Acme/EU.de/med~v2/F_84", purpose: "medical", usages: "encrypt", algorithm: "ChaCha20-Poly1305", versions: [10] },
  { name: "7", purpose: "api", usages: "encrypt", algorithm: "AES-256-GCM-KC", versions: [2_147_483_647] },
  { name: "pii-index", purpose: "pii", usages: "blind-index", algorithm: "HMAC-SHA-256", versions: [1] },
  { name: "webhooks", purpose: "api", usages: "mac", algorithm: "HMAC-SHA-256", versions: [1] },
  { name: "two-usages", purpose: "api", usages: "blind-index,mac", algorithm: "HMAC-SHA-256", versions: [1] },
  { name: "keystead/audit", purpose: "system", usages: "sign", algorithm: "Ed25519", versions: [1] },
];

/** A version of the golden keys with its key in the clear. */
export interface GoldenVersion {
  readonly keyId: string;
  readonly name: string;
  readonly algorithm: AlgorithmName;
  readonly version: number;
  readonly label: string;
  readonly material: KeyMaterial;
}

/** The rows of the golden keys, and what is in them. */
export interface GoldenKeyset {
  readonly kekId: string;
  readonly keks: readonly NewRecord<"keks">[];
  readonly wraps: readonly NewRecord<"wraps">[];
  readonly keys: readonly NewRecord<"keys">[];
  readonly versions: readonly NewRecord<"versions">[];
  readonly opened: readonly GoldenVersion[];
  /** By key id. */
  readonly keysetKeys: ReadonlyMap<string, Buffer>;
}

/** Makes the golden keys: the same in each run. */
export async function createKeyset(): Promise<GoldenKeyset> {
  const random = goldenRandom("seals");
  const kek = new LocalKek({ name: masterKey.name, masterKey: createSecretKey(masterKey.bytes), random, clock: goldenClock });
  const wrap = async (subject: string, key: Uint8Array): Promise<NewRecord<"wraps">> => {
    const { kekId, bytes } = await kek.wrapKey(key, { context: { storeId: store.id, subject, kekUri: store.kekUri } });
    return { subject, kekUri: store.kekUri, kekId, wrapped: bytes, createdAt: store.createdAt };
  };
  const wraps = [await wrap("store", storeKey)];
  const keys: NewRecord<"keys">[] = [];
  const versions: NewRecord<"versions">[] = [];
  const opened: GoldenVersion[] = [];
  const keysetKeys = new Map<string, Buffer>();
  for (const [index, plan] of plans.entries()) {
    const id = `60164e57-0ead-4000-8000-0000000001${(index + 1).toString().padStart(2, "0")}`;
    const keysetKey = shake(`keystead golden v1 keyset key ${plan.name}`, 32);
    keysetKeys.set(id, keysetKey);
    wraps.push(await wrap(id, keysetKey));
    keys.push(keyRow(id, plan));
    for (const version of plan.versions) {
      const material = KeyMaterial.generate(algorithms[plan.algorithm], goldenRandom(`material ${plan.name} ${version}`));
      const row = versionRow(id, plan, version, material, new KeysetKey(keysetKey, random, goldenClock));
      versions.push(row);
      const label = formatLabel(version, row.fingerprint);
      opened.push({ keyId: id, name: plan.name, algorithm: plan.algorithm, version, label, material });
    }
  }
  const { kekId } = kek;
  const keks = [{ uri: store.kekUri, kekId, derivation: null, createdAt: store.createdAt }];
  return { kekId, keks, wraps, keys, versions, opened, keysetKeys };
}

function keyRow(id: string, { name, purpose, usages, algorithm, versions }: KeyPlan): NewRecord<"keys"> {
  const currentVersion = versions.at(-1) ?? null;
  const tags = name === "pii-email" ? JSON.stringify({ team: "Kundendienst Süd" }) : "{}";
  return { id, name, purpose, usages, algorithm, tags, rotationDays: null, currentVersion, createdAt: store.createdAt };
}

function versionRow(keyId: string, plan: KeyPlan, version: number, material: KeyMaterial, keysetKey: KeysetKey): NewRecord<"versions"> {
  const { usages, algorithm, versions } = plan;
  const format = material.algorithm.materialFormat;
  return {
    keyId,
    version,
    fingerprint: material.fingerprint(keyId, version),
    state: version === versions.at(-1) ? "active" : "deactivated",
    stateAt: store.createdAt,
    stateReason: "golden file",
    materialFormat: format,
    material: keysetKey.seal(material.exportBytes(), { keyId, version, usages, algorithm, format }),
    publicKey: material.publicKeyDer() ?? null,
    createdAt: store.createdAt,
    activateAt: null,
    currentFrom: null,
    expiresAt: null,
    destroyAt: null,
  };
}

/** The version of a golden key. */
export function versionOf(keyset: GoldenKeyset, name: string, version?: number): GoldenVersion {
  const found = keyset.opened.findLast((opened) => opened.name === name && (version === undefined || opened.version === version));
  if (found === undefined) throw new Error(`there is no golden key ${name}`);
  return found;
}
