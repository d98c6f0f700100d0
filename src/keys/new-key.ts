import type { Algorithm, KeyUsage } from "../crypto/algorithm.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import { KeyMaterial } from "../crypto/key-material.ts";
import { randomUuid } from "../crypto/uuid.ts";
import type { StoreTables } from "../store/store.ts";
import type { NewRecord, StoredRecord } from "../store/tables.ts";
import type { Engine } from "./engine.ts";
import type { WrapRow } from "./kek-ring.ts";
import { KeysetKey } from "./sealed-material.ts";
import { afterCopies, type StoreHistory } from "./store-history.ts";

/** What a new key is, checked. */
export interface NewKey {
  readonly name: string;
  readonly purpose: string;
  readonly usage: KeyUsage;
  readonly algorithm: Algorithm;
  readonly tags?: Readonly<Record<string, string>>;
  readonly rotationDays: number | null;
  readonly expiresAt?: Date;
  readonly activateAt?: Date;
  readonly history: Pick<StoreHistory, "restoredAt" | "copiedAt">;
}

/** The rows of a key that is not stored yet. */
export interface PreparedKey {
  readonly key: NewRecord<"keys">;
  readonly version: NewRecord<"versions">;
  readonly wrap: WrapRow & { readonly createdAt: number };
}

/** Makes the rows of a key and wraps its keyset key; stores nothing. */
export async function prepareKey(engine: Pick<Engine, "keks" | "random" | "clock">, input: NewKey, kekUri: string): Promise<PreparedKey> {
  const { random, clock } = engine;
  const { name, purpose, usage, algorithm, tags = {}, rotationDays, activateAt, expiresAt } = input;
  const id = randomUuid(random);
  const now = clock.now();
  const keysetKey = KeysetKey.generate(random, clock);
  const wrap = await keysetKey.withBytes((bytes) => engine.keks.wrap(id, bytes, kekUri));
  const preActive = activateAt !== undefined && activateAt.getTime() > now;
  const key: NewRecord<"keys"> = {
    id,
    name,
    purpose,
    usages: usage,
    algorithm: algorithm.name,
    tags: JSON.stringify(tags),
    rotationDays,
    currentVersion: preActive ? null : 1,
    createdAt: now,
  };
  const version = sealNewVersion(engine, keysetKey, key, 1, {
    state: preActive ? "pre-active" : "active",
    stateReason: "created",
    createdAt: afterCopies(now, input.history),
    activateAt: activateAt?.getTime() ?? null,
    currentFrom: null,
    expiresAt: expiresAt?.getTime() ?? null,
  });
  return { key, version, wrap: { ...wrap, createdAt: now } };
}

/** Stores a prepared key. @throws KeysteadError `NAME_TAKEN` */
export async function insertKey(tables: StoreTables, { key, version, wrap }: PreparedKey): Promise<StoredRecord<"keys">> {
  await tables.wraps.insert(wrap);
  await tables.versions.insert(version);
  return tables.keys.insert(key);
}

/** The row of a new version with fresh, sealed material. */
export function sealNewVersion(
  { random, clock }: Pick<Engine, "random" | "clock">,
  keysetKey: KeysetKey,
  key: Pick<NewRecord<"keys">, "id" | "usages" | "algorithm">,
  version: number,
  facts: Pick<NewRecord<"versions">, "state" | "stateReason" | "createdAt" | "activateAt" | "currentFrom" | "expiresAt">,
): NewRecord<"versions"> {
  const algorithm = findAlgorithm(key.algorithm);
  const material = KeyMaterial.generate(algorithm, random);
  const format = algorithm.materialFormat;
  const bytes = material.exportBytes();
  try {
    return {
      keyId: key.id,
      version,
      fingerprint: material.fingerprint(key.id, version),
      stateAt: clock.now(),
      materialFormat: format,
      material: keysetKey.seal(bytes, { keyId: key.id, version, usages: key.usages, algorithm: key.algorithm, format }),
      publicKey: material.publicKeyDer() ?? null,
      destroyAt: null,
      ...facts,
    };
  } finally {
    bytes.fill(0);
  }
}
