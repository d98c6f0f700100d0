import { z } from "zod";
import type { Principal } from "../access/principal.ts";
import { readPinnedKeys, type Signer, signVerified, verifySignature } from "../audit/signature.ts";
import { decodeBase64url, encodeBase64url } from "../crypto/base64url.ts";
import { encodeFields } from "../crypto/encode.ts";
import { parseJson } from "../crypto/json-text.ts";
import { isSignerName, signerName } from "./audit-signer.ts";
import type { DestructionEvidence } from "./destroy-gate.ts";

const tag = "keystead certificate v1";
const type = "keystead.destruction";
/** Evidence of some ten thousand datasets. */
const longestStatement = 4 * 1024 * 1024;

/** Signed proof of a destruction. `docs/format.md` says which bytes are signed. */
export interface DestructionCertificate {
  /** JSON text, exactly as it was signed: store, key, version, dates, reason, principal, evidence, signer. */
  readonly statement: string;
  /** `keystead/audit:<label>`, as checkpoints name it. */
  readonly signer: string;
  /** SPKI DER, base64url. */
  readonly publicKey: string;
  /** Base64url. */
  readonly signature: string;
}

/** What a certificate says. Instants are ISO 8601, UTC. */
export interface DestructionStatement {
  /** Id of the store. */
  readonly store: string;
  readonly key: { readonly id: string; readonly name: string };
  /** Label of the version: `3-k7f2qd`. */
  readonly version: string;
  readonly createdAt: string;
  /** Absent where nothing was scheduled: a version that never was active is destroyed at once. */
  readonly scheduledAt?: string;
  readonly executedAt: string;
  readonly reason: string;
  readonly principal: Omit<Principal, "source"> & { readonly source: string };
  readonly evidence: DestructionEvidence;
  /** `keystead/audit:<label>` */
  readonly signer: string;
}

/** Something that is wrong with a certificate. */
export interface CertificateFinding {
  /**
   * `form`: it is no certificate. `key`: its public key is none of the pinned ones. `signature`: it was altered. `statement`: what
   * was signed is no destruction that this program can read. `signer`: it names another than was signed. `store`: it is another
   * store's.
   */
  readonly kind: "form" | "key" | "signature" | "statement" | "signer" | "store";
  readonly problem: string;
}

/** What a verification found. */
export interface CertificateReport {
  /** Empty = this store's audit key signed exactly this. */
  readonly findings: readonly CertificateFinding[];
  /** What the certificate says; undefined when there are findings. */
  readonly statement: DestructionStatement | undefined;
}

/** What a certificate is held against. */
export interface VerifyCertificateOptions {
  /** SPKI DER of the keys that may have signed, from elsewhere than the certificate. */
  readonly pinnedKeys: readonly Uint8Array[];
  /** Id of the only store that may be meant. */
  readonly storeId?: string;
}

const certificateSchema = z.strictObject({
  statement: z.string().max(longestStatement),
  signer: z.string().max(300),
  publicKey: z.string().max(300),
  signature: z.string().max(300),
}) satisfies z.ZodType<DestructionCertificate>;

const evidenceSchema = z.object({
  censuses: z.array(z.object({ dataset: z.string(), takenAt: z.string(), count: z.number() })),
  zeroSince: z.string().nullable(),
  backupRetentionDays: z.number(),
  seals: z.object({ inDatasets: z.number(), outsideDatasets: z.number() }),
  opens: z.number(),
  lastOpenedAt: z.string().nullable(),
  refusals: z.number(),
  indexGenerations: z.array(z.string()),
}) satisfies z.ZodType<DestructionEvidence>;

const facts = {
  type: z.literal(type),
  store: z.string(),
  key: z.object({ id: z.string(), name: z.string() }),
  version: z.string(),
  createdAt: z.string(),
  executedAt: z.string(),
  reason: z.string(),
  principal: z.object({ source: z.string(), id: z.string(), actingFor: z.exactOptional(z.string()) }),
  evidence: evidenceSchema,
};

/** Format 1 names its signer outside of what is signed only, by the bare label. */
const statementSchema = z.discriminatedUnion("format", [
  z.object({ ...facts, format: z.literal(1), scheduledAt: z.string() }),
  z.object({ ...facts, format: z.literal(2), scheduledAt: z.exactOptional(z.string()), signer: z.string() }),
]);

/** Certifies a destruction. @throws KeysteadError as the signer does; `AUDIT_UNAVAILABLE` when it signs with another key than it names */
export function signCertificate(signer: Signer, statement: Omit<DestructionStatement, "signer">): DestructionCertificate {
  const text = JSON.stringify({ type, format: 2, ...statement, signer: signer.keyId });
  return {
    statement: text,
    signer: signer.keyId,
    publicKey: encodeBase64url(signer.publicKeyDer),
    signature: encodeBase64url(signVerified(signer, signedBytes(text))),
  };
}

/** Reads a certificate that was stored as JSON. Undefined when it is none; never throws. */
export function parseCertificate(text: string): DestructionCertificate | undefined {
  return certificateSchema.safeParse(parseJson(text)).data;
}

/**
 * Verifies a certificate without a store: nothing is needed but the certificate and the public keys of the store's audit key.
 *
 * @param certificate as {@link KeyService.certificate} gave it, parsed from JSON; whatever it is, it is a finding and no error
 * @throws KeysteadError `INVALID_ARGUMENT` when no key is pinned, or one is no public key
 * @example
 * const { findings, statement } = verifyCertificate(JSON.parse(text), { pinnedKeys: [publicKeyDer] });
 * if (statement !== undefined) console.log(`${statement.key.name} ${statement.version} is gone since ${statement.executedAt}`);
 */
export function verifyCertificate(certificate: unknown, { pinnedKeys, storeId }: VerifyCertificateOptions): CertificateReport {
  const pinned = readPinnedKeys(pinnedKeys);
  const { data } = certificateSchema.safeParse(certificate);
  const signature = data && decodeBase64url(data.signature);
  const publicKey = data && decodeBase64url(data.publicKey);
  if (data?.statement.isWellFormed() !== true || signature === undefined || publicKey === undefined) {
    return rejected("form", "it is no destruction certificate, or was cut or edited");
  }
  // The bytes are compared, not the keys that they spell: one key, one text.
  const key = pinned.find((candidate) => candidate.export({ format: "der", type: "spki" }).equals(publicKey));
  if (key === undefined) return rejected("key", "it holds another public key than the pinned ones: another store's, or a forgery");
  if (!verifySignature(key, signedBytes(data.statement), signature)) {
    return rejected("signature", "its signature does not verify: it was altered");
  }
  const said = statementSchema.safeParse(parseJson(data.statement)).data;
  if (said === undefined) {
    return rejected("statement", "it says something else than the destruction of a version, or a newer Keystead made it: upgrade this one");
  }
  const named = said.format === 1 ? signerName(data.signer) : data.signer;
  const { type: _type, format: _format, ...statement } = { ...said, signer: said.format === 1 ? named : said.signer };
  if (statement.signer !== named || !isSignerName(named)) return rejected("signer", "it names another signer than the one that signed");
  if (storeId !== undefined && statement.store !== storeId) return rejected("store", `it is of the store ${statement.store}`);
  return { findings: [], statement };
}

function signedBytes(statement: string): Buffer {
  return encodeFields(tag, statement);
}

function rejected(kind: CertificateFinding["kind"], problem: string): CertificateReport {
  return { findings: [{ kind, problem }], statement: undefined };
}
