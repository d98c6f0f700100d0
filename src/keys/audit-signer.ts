import type { StoreTables } from "../store/store.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle } from "./key-handle.ts";
import { findKey } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";

/** The key that signs audit checkpoints and certificates. */
export const auditKeyName = "keystead/audit";

/** One version of the audit key, ready to sign. */
export interface AuditSigner {
  /** `keystead/audit:<label>` */
  readonly keyId: string;
  /** SPKI DER. */
  readonly publicKeyDer: Buffer;
  sign(data: Uint8Array): Buffer;
}

/** Opens the audit key, ready to sign when it can. @throws KeysteadError `UNKNOWN_KEY` when the store has none, KEK errors */
export async function openAuditKey({ store, registry }: Pick<Engine, "store" | "registry">): Promise<KeyHandle> {
  const { id } = await store.read((tables) => findKey(tables, auditKeyName));
  const key = new KeyHandle(registry, await registry.get(id), { datasetId: "", opening: "open" });
  await key.prepare().catch(() => undefined);
  return key;
}

/** The current version of the audit key. @throws KeysteadError `KEY_LEASE_EXPIRED`, `KEY_STATE`, `KEY_VERSION_EXPIRED` */
export function currentSigner(key: KeyHandle): AuditSigner {
  return { keyId: `${auditKeyName}:${key.current.label}`, publicKeyDer: key.publicKey(), sign: (data) => key.sign(data).signature };
}

/** The public key of a version of the audit key, by {@link AuditSigner.keyId}; undefined when this store has none such. */
export async function findSignerKey(tables: StoreTables, signer: string): Promise<Uint8Array | undefined> {
  const { id } = await findKey(tables, auditKeyName);
  const versions = await tables.versions.list({ keyId: id });
  return versions.find((row) => `${auditKeyName}:${describeVersion(row).label}` === signer)?.publicKey ?? undefined;
}
