import { createPublicKey, type KeyObject } from "node:crypto";
import { ed25519 } from "../crypto/ed25519.ts";
import { KeysteadError } from "../errors.ts";

/** Signs checkpoints and certificates. Made by the composition root from a key of usage `sign` (Ed25519). */
export interface Signer {
  /** Names the key version to a verifier; kept beside the signature. */
  readonly keyId: string;
  /** SPKI DER. */
  readonly publicKeyDer: Buffer;
  sign(data: Uint8Array): Buffer;
}

/**
 * Signs bytes, and verifies the signature before it is used: a wrong one would look like tampering for ever.
 * @throws KeysteadError `AUDIT_UNAVAILABLE` when the signer's signature is not its public key's
 */
export function signVerified(signer: Signer, bytes: Uint8Array): Buffer {
  const signature = signer.sign(bytes);
  const publicKey = readPublicKey(signer.publicKeyDer);
  if (publicKey === undefined || !verifySignature(publicKey, bytes, signature)) {
    throw new KeysteadError(
      "AUDIT_UNAVAILABLE",
      `the audit signer ${signer.keyId} signs with another key than it names; open the store again`,
    );
  }
  return signature;
}

/** Reads a public key (Ed25519, SPKI DER). Undefined when it is none; never throws. */
export function readPublicKey(der: Uint8Array): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    return key.asymmetricKeyType === "ed25519" ? key : undefined;
  } catch {
    return undefined;
  }
}

/** True when the signature over the bytes is that of the public key. Never throws. */
export function verifySignature(publicKey: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return ed25519.verify(publicKey, bytes, signature);
}

/**
 * Reads the keys that a verifier trusts.
 * @throws KeysteadError `INVALID_ARGUMENT` when there is none, or one is no Ed25519 public key in SPKI DER
 */
export function readPinnedKeys(ders: readonly Uint8Array[]): KeyObject[] {
  const keys = ders.map(readPublicKey).filter((key) => key !== undefined);
  if (keys.length === 0 || keys.length < ders.length) {
    throw new KeysteadError("INVALID_ARGUMENT", "a pinned key is no Ed25519 public key, or none is given; give at least one as SPKI DER");
  }
  return keys;
}
