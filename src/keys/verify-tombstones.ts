import type { AuditFinding } from "../audit/verify.ts";
import { encodeBase64url } from "../crypto/base64url.ts";
import { formatLabel } from "../crypto/ciphertext.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { listSigners } from "./audit-signer.ts";
import { parseCertificate, verifyCertificate } from "./certificate.ts";
import { describeVersion } from "./keyset.ts";

/** What the certificates of a store are held against. */
export interface VerifyTombstonesOptions {
  readonly storeId: string;
  /** SPKI DER of the only keys that may have signed; those of the store's audit key when absent. */
  readonly pinnedKeys?: readonly Uint8Array[];
}

/**
 * Verifies the certificate of every version that was destroyed, and that each destroyed version has one.
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned or one is no public key
 */
export async function verifyTombstones(
  tables: StoreTables,
  { storeId, pinnedKeys }: VerifyTombstonesOptions,
): Promise<{ readonly findings: readonly AuditFinding[]; readonly certificates: number }> {
  const signers = new Map((await listSigners(tables)).map(({ signer, publicKey }) => [signer, publicKey]));
  const names = new Map((await tables.keys.list()).map(({ id, name }) => [id, name]));
  const tombstones = await tables.tombstones.list();
  const certified = new Set(tombstones.map(({ keyId, version }) => `${keyId} ${String(version)}`));
  const findings: AuditFinding[] = [];
  const find = (keyId: string, label: string, problem: string | undefined): void => {
    if (problem !== undefined) findings.push({ kind: "certificate", certificate: `${names.get(keyId) ?? keyId} ${label}`, problem });
  };

  const problemOf = ({ keyId, version, fingerprint, certificate: text }: StoredRecord<"tombstones">): string | undefined => {
    const certificate = parseCertificate(text);
    const {
      findings: [finding],
      statement,
    } = verifyCertificate(certificate, { storeId, pinnedKeys: pinnedKeys ?? [...signers.values()] });
    if (certificate === undefined || statement === undefined) return finding?.problem;
    const publicKey = signers.get(statement.signer);
    if (publicKey === undefined || encodeBase64url(publicKey) !== certificate.publicKey)
      return `${statement.signer} has another public key`;
    const meant = statement.key.id === keyId && statement.version === formatLabel(version, fingerprint);
    return meant ? undefined : `it is of version ${statement.version} of key ${statement.key.name}`;
  };

  for (const row of tombstones) find(row.keyId, formatLabel(row.version, row.fingerprint), problemOf(row));
  for (const row of await tables.versions.list({ state: "destroyed" })) {
    if (!certified.has(`${row.keyId} ${String(row.version)}`)) find(row.keyId, describeVersion(row).label, "it is missing");
  }
  return { findings, certificates: tombstones.length };
}
