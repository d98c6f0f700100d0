import type { Signer } from "../audit/signature.ts";
import { parseLabel } from "../crypto/ciphertext.ts";
import type { StoreTables } from "../store/store.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle } from "./key-handle.ts";
import { findKey } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";

/** The key that signs audit checkpoints and certificates. */
export const auditKeyName = "keystead/audit";

const signerPrefix = `${auditKeyName}:`;

/** How checkpoints and certificates name a version of the audit key: `keystead/audit:<label>`. */
export function signerName(label: string): string {
  return signerPrefix + label;
}

/** True for a name of {@link signerName}. */
export function isSignerName(name: string): boolean {
  return name.startsWith(signerPrefix) && parseLabel(name.slice(signerPrefix.length)) !== undefined;
}

/** A version of the audit key, as a verifier pins it. */
export interface AuditSignerInfo {
  /** `keystead/audit:<label>` */
  readonly signer: string;
  /** SPKI DER. */
  readonly publicKey: Uint8Array;
  /** True for the one that signs now. */
  readonly current: boolean;
}

/** Opens the audit key, ready to sign when it can. @throws KeysteadError `UNKNOWN_KEY` when the store has none, KEK errors */
export async function openAuditKey({ store, registry }: Pick<Engine, "store" | "registry">): Promise<KeyHandle> {
  const { id } = await store.read((tables) => findKey(tables, auditKeyName));
  const key = new KeyHandle(registry, await registry.get(id), { datasetId: "", opening: "open" });
  await key.prepare().catch(() => undefined);
  return key;
}

/** The current version of the audit key. @throws KeysteadError `KEY_LEASE_EXPIRED`, `KEY_STATE`, `KEY_VERSION_EXPIRED` */
export function currentSigner(key: KeyHandle): Signer {
  return { keyId: signerName(key.current.label), publicKeyDer: key.publicKey(), sign: (data) => key.sign(data).signature };
}

/** Every version that the audit key has had, whatever became of it: a public key outlives its private one. */
export async function listSigners(tables: StoreTables): Promise<AuditSignerInfo[]> {
  const { id, currentVersion } = await findKey(tables, auditKeyName);
  const versions = await tables.versions.list({ keyId: id });
  return versions.flatMap((row) =>
    row.publicKey === null
      ? []
      : [{ signer: signerName(describeVersion(row).label), publicKey: row.publicKey, current: row.version === currentVersion }],
  );
}

/** The public key of a version of the audit key; undefined when this store has none such. */
export async function findSignerKey(tables: StoreTables, signer: string): Promise<Uint8Array | undefined> {
  return (await listSigners(tables)).find((known) => known.signer === signer)?.publicKey;
}
