import { createPrivateKey, type KeyObject, sign, verify } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import type { SignatureAlgorithm } from "./algorithm.ts";

const seedBytes = 32;
const signatureBytes = 64;

/** PKCS#8 of an Ed25519 private key (RFC 8410) up to its seed. */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");

/** Ed25519 (RFC 8032). */
export const ed25519: SignatureAlgorithm = {
  kind: "signature",
  name: "Ed25519",
  usages: ["sign"],
  materialFormat: "pkcs8",
  generate: (random) => {
    const seed = random.bytes(seedBytes);
    const material = Buffer.concat([pkcs8Prefix, seed]);
    seed.fill(0);
    return material;
  },
  importKey,
  sign: (key, data) => sign(null, data, key),
  verify: (publicKey, data, signature) => {
    if (publicKey.asymmetricKeyType !== "ed25519" || signature.length !== signatureBytes) return false;
    return verify(null, data, publicKey, signature);
  },
};

function importKey(material: Uint8Array): KeyObject {
  const key = parsePkcs8(material);
  if (key?.asymmetricKeyType !== "ed25519") {
    throw new KeysteadError("INVALID_ARGUMENT", "key material must be the PKCS#8 DER of an Ed25519 private key");
  }
  return key;
}

function parsePkcs8(material: Uint8Array): KeyObject | undefined {
  try {
    return createPrivateKey({ key: Buffer.from(material), format: "der", type: "pkcs8" });
  } catch {
    // The cause stays behind: what a parser says about private key bytes is nobody's business.
    return undefined;
  }
}
