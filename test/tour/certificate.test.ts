import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { decodeCertificate, verifyCertificate } from "../../src/cli/tour/certificate.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import type { DestructionCertificate } from "../../src/index.ts";

function keyPair(): { privateKey: KeyObject; der: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, der: publicKey.export({ format: "der", type: "spki" }) };
}

const { privateKey, der } = keyPair();
const facts = {
  type: "keystead.destruction",
  key: { id: "1", name: "pii" },
  version: "1-k7f2qd",
  executedAt: "2027-01-31T12:00:00.000Z",
  evidence: {
    censuses: [
      { dataset: "a", count: 0 },
      { dataset: "b", count: 2 },
    ],
  },
};

function certify(statement: string, key: KeyObject = privateKey): DestructionCertificate {
  const signature = sign(null, encodeFields("keystead certificate v1", statement), key).toString("base64url");
  return { statement, signer: "1-ge35ez", publicKey: der.toString("base64url"), signature };
}

describe("a certificate", () => {
  it("is verified with the public key, and read", () => {
    const certificate = certify(JSON.stringify(facts));
    expect(verifyCertificate(certificate, der)).toBe(true);
    expect(decodeCertificate(certificate, der)).toEqual({
      key: "pii",
      version: "1-k7f2qd",
      executedAt: "2027-01-31T12:00:00.000Z",
      count: 2,
      signer: "1-ge35ez",
    });
  });

  it("is refused when it was changed, or signed by somebody else", () => {
    const certificate = certify(JSON.stringify(facts));
    expect(verifyCertificate({ ...certificate, statement: certificate.statement.replace("pii", "pin") }, der)).toBe(false);
    expect(verifyCertificate({ ...certificate, signature: "" }, der)).toBe(false);
    expect(decodeCertificate({ ...certificate, statement: `${certificate.statement} ` }, der)).toBeUndefined();
    const other = keyPair();
    expect(verifyCertificate(certify(JSON.stringify(facts), other.privateKey), der)).toBe(false);
    expect(verifyCertificate(certificate, other.der)).toBe(false);
  });

  it("is refused when it says something else", () => {
    expect(decodeCertificate(certify(JSON.stringify({ ...facts, type: "keystead.creation" })), der)).toBeUndefined();
    expect(decodeCertificate(certify("{}"), der)).toBeUndefined();
  });
});
