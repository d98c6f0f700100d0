import type { KeyObject } from "node:crypto";
import type { Clock } from "../clock.ts";
import { algorithms } from "../crypto/algorithms.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { deriveMetadataKey } from "../store/metadata-key.ts";
import type { Store, StoreIdentity, StoreTables } from "../store/store.ts";
import { auditKeyName } from "./audit-signer.ts";
import { findKekIn } from "./kek-records.ts";
import type { KekRing } from "./kek-ring.ts";
import { insertKey, prepareKey } from "./new-key.ts";
import { seededPurposes, systemPurpose } from "./purpose-records.ts";
import { type ChangeableSetting, changeableSettings, writeSetting } from "./settings.ts";
import { assertHere, readHistory } from "./store-history.ts";

/** How a new store begins. */
export interface CreateStoreOptions {
  readonly store: Store;
  readonly keks: KekRing;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** URI of the KEK that wraps everything until a route says otherwise. */
  readonly kekUri: string;
  readonly demo: boolean;
  readonly settings?: Partial<Record<ChangeableSetting, number>>;
}

/**
 * Makes a new store: store key, seeded purposes, default route, audit key.
 * @throws KeysteadError `STORE_EXISTS`, `UNKNOWN_KEK`, `KEK_FAILED`
 */
export async function createStore(options: CreateStoreOptions): Promise<StoreIdentity> {
  const { store, keks, clock, random, kekUri } = options;
  if (await store.exists())
    throw new KeysteadError("STORE_EXISTS", `there is a store at ${store.url} already; open it, or choose another place`);
  const now = clock.now();
  const identity = { id: randomUuid(random), demo: options.demo, createdAt: now };
  keks.bind(identity.id, () => Promise.resolve(undefined));
  const kek = await keks.handle(kekUri);
  const auditKey = await prepareKey(
    { keks, random, clock },
    {
      name: auditKeyName,
      purpose: systemPurpose,
      usage: "sign",
      algorithm: algorithms.Ed25519,
      rotationDays: null,
      history: { restoredAt: 0, copiedAt: 0 },
    },
    kekUri,
  );
  const storeKey = random.bytes(32);
  try {
    const storeWrap = await keks.wrap("store", storeKey, kekUri);
    await store.create(identity, deriveMetadataKey(storeKey), async (tables: StoreTables) => {
      await tables.keks.insert({ uri: kekUri, kekId: kek.kekId, derivation: kek.derivation ?? null, createdAt: now });
      await tables.wraps.insert({ ...storeWrap, createdAt: now });
      const purposes = [...seededPurposes, { name: systemPurpose, description: "Keystead's own keys" }];
      for (const purpose of purposes) {
        await tables.purposes.insert({ ...purpose, defaultKey: null, rotationDays: null, algorithms: "", hardware: 0 });
      }
      await tables.routes.insert({ id: randomUuid(random), purpose: null, namePrefix: null, kekUri });
      for (const name of changeableSettings) {
        const value = options.settings?.[name];
        if (value !== undefined) await writeSetting(tables, name, value);
      }
      await insertKey(tables, auditKey);
    });
  } finally {
    storeKey.fill(0);
  }
  keks.bind(identity.id, findKekIn(store));
  return identity;
}

/**
 * Opens the store key and lets the store check every row.
 * @throws KeysteadError `STORE_NOT_FOUND`, `WRONG_MASTER_KEY`, `KEK_FAILED`, `STORE_TAMPERED`, `STORE_SCHEMA_NEWER`, `STORE_SCHEMA_OLDER`,
 *   `STORE_MOVED`
 */
export async function unlockStore(store: Store, keks: KekRing): Promise<StoreIdentity> {
  const identity = await withMetadataKey(store, keks, (metadataKey) => store.unlock(metadataKey));
  assertHere(await store.read(readHistory));
  return identity;
}

/**
 * Opens the store key for as long as `work` needs it, and lets the KEKs be found in the store from then on.
 * @throws KeysteadError as {@link unlockStore}, and what `work` throws
 */
export async function withMetadataKey<T>(store: Store, keks: KekRing, work: (metadataKey: KeyObject) => Promise<T>): Promise<T> {
  const header = await store.header();
  keks.bind(header.identity.id, (uri) => {
    const known = header.keks.find((kek) => kek.uri === uri);
    const wrap = header.storeKeyWraps.find(({ kekUri }) => kekUri === uri);
    return Promise.resolve(known && { kekId: known.kekId, derivation: known.derivation, wrap });
  });
  const storeKey = await keks.unwrap(header.storeKeyWraps);
  try {
    const result = await work(deriveMetadataKey(storeKey));
    keks.bind(header.identity.id, findKekIn(store));
    return result;
  } finally {
    storeKey.fill(0);
  }
}
