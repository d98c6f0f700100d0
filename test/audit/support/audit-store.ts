import { createSecretKey } from "node:crypto";
import type { AuditStore, AuditTables } from "../../../src/audit/audit-store.ts";
import type { Signer } from "../../../src/audit/signature.ts";
import { algorithms } from "../../../src/crypto/algorithms.ts";
import { KeyMaterial } from "../../../src/crypto/key-material.ts";
import { type RandomSource, systemRandom } from "../../../src/crypto/random.ts";
import { openMemoryStore } from "../../../src/store/memory/memory-store.ts";
import type { Store } from "../../../src/store/store.ts";

export const storeId = "5b0c7f7e-6f4f-4a0e-9d0e-3c2b1a090807";

/** The metadata key of every store here, so that another process can unlock it. */
export const metadataKey = createSecretKey(Buffer.alloc(32, 3));

/** Makes an opened place a store. Every `Store` is an `AuditStore`: this compiles only while that is so. */
export async function createStore(store: Store): Promise<Store & AuditStore> {
  await store.create({ id: storeId, demo: false, createdAt: 0 }, metadataKey, async () => undefined);
  return store;
}

/** A new store in memory, ready to use. */
export async function newStore(): Promise<Store & AuditStore> {
  return createStore(await openMemoryStore());
}

/** A new Ed25519 signer; with other randomness than the system's, the same one each time. */
export function newSigner(keyId = "keystead/audit:1-abcdef", random: RandomSource = systemRandom): Signer {
  const material = KeyMaterial.generate(algorithms.Ed25519, random);
  const publicKeyDer = material.publicKeyDer();
  if (publicKeyDer === undefined) throw new Error("a key pair has a public key");
  return { keyId, publicKeyDer, sign: (data) => algorithms.Ed25519.sign(material.key, data) };
}

/** The same signer in every process. */
export function sharedSigner(): Signer {
  return newSigner("keystead/audit:1-shared", { bytes: (length) => Buffer.alloc(length, 9) });
}

/** Makes every transaction fail while `broken` says so. */
export function breakable(store: AuditStore, broken: () => Error | undefined): AuditStore {
  const guarded = <T>(run: () => Promise<T>): Promise<T> => {
    const error = broken();
    return error === undefined ? run() : Promise.reject(error);
  };
  return {
    read: <T>(work: (tables: AuditTables) => Promise<T>) => guarded(() => store.read(work)),
    transaction: <T>(work: (tables: AuditTables) => Promise<T>) => guarded(() => store.transaction(work)),
    generation: () => guarded(() => store.generation()),
  };
}
