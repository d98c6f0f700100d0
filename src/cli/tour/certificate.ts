import { createPublicKey, verify } from "node:crypto";
import { z } from "zod";
import type { DestructionCertificate } from "../../index.ts";

/** What people want to read in a certificate. */
export interface ShownCertificate {
  readonly key: string;
  readonly version: string;
  readonly executedAt: string;
  /** Values under the version that the last censuses found. */
  readonly count: number;
  readonly signer: string;
}

const statementSchema = z.object({
  type: z.literal("keystead.destruction"),
  key: z.object({ name: z.string() }),
  version: z.string(),
  executedAt: z.string(),
  evidence: z.object({ censuses: z.array(z.object({ count: z.number() })) }),
});

const tag = "keystead certificate v1";

/**
 * Verifies a certificate and reads it.
 * @param publicKey SPKI DER, from elsewhere than the certificate
 * @returns undefined when it was not signed with this key, or says something else than the destruction of a version
 */
export function decodeCertificate(certificate: DestructionCertificate, publicKey: Uint8Array): ShownCertificate | undefined {
  if (!verifyCertificate(certificate, publicKey)) return undefined;
  const { success, data } = statementSchema.safeParse(JSON.parse(certificate.statement));
  if (!success) return undefined;
  const count = data.evidence.censuses.reduce((sum, census) => sum + census.count, 0);
  return { key: data.key.name, version: data.version, executedAt: data.executedAt, count, signer: certificate.signer };
}

/**
 * True when the certificate was signed with this key (Ed25519) over exactly its statement. Uses nothing of Keystead: whoever
 * has the public key can check certificates like this.
 */
export function verifyCertificate(
  { statement, signature }: Pick<DestructionCertificate, "statement" | "signature">,
  publicKey: Uint8Array,
): boolean {
  const signed = Buffer.concat([field(tag), field(statement)]);
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  return verify(null, signed, key, Buffer.from(signature, "base64url"));
}

/** The bytes of a text, after their number in four bytes. */
function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
