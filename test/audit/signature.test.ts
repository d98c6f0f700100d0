import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPinnedKeys, readPublicKey, signVerified, verifySignature } from "../../src/audit/signature.ts";
import { flipBit } from "../crypto/support/flip-bit.ts";
import { newSigner } from "./support/audit-store.ts";

const bytes = Buffer.from("what is signed");
const invalidArgument = expect.objectContaining({ code: "INVALID_ARGUMENT" }) as Error;

describe("a signature", () => {
  it("verifies under its key only, and any bit matters", () => {
    const signer = newSigner();
    const [key, stranger] = readPinnedKeys([signer.publicKeyDer, newSigner().publicKeyDer]);
    if (key === undefined || stranger === undefined) throw new Error("signers have public keys");
    const signature = signVerified(signer, bytes);
    expect(verifySignature(key, bytes, signature)).toBe(true);
    expect(verifySignature(stranger, bytes, signature)).toBe(false);
    expect(verifySignature(key, bytes, signature.subarray(1))).toBe(false);
    fc.assert(fc.property(fc.nat(bytes.length * 8 - 1), (bit) => !verifySignature(key, flipBit(bytes, bit), signature)));
  });

  it("is not made by a signer that signs with another key than it names", () => {
    const signer = { ...newSigner(), publicKeyDer: newSigner().publicKeyDer };
    expect(() => signVerified(signer, bytes)).toThrow(expect.objectContaining({ code: "AUDIT_UNAVAILABLE" }));
  });
});

describe("public keys", () => {
  it("are Ed25519 keys only", () => {
    const { publicKey } = generateKeyPairSync("x25519");
    expect(readPublicKey(publicKey.export({ type: "spki", format: "der" }))).toBeUndefined();
    expect(readPublicKey(Buffer.from("no key"))).toBeUndefined();
  });

  it("are pinned all or not at all", () => {
    expect(() => readPinnedKeys([])).toThrow(invalidArgument);
    expect(() => readPinnedKeys([newSigner().publicKeyDer, Buffer.from("no key")])).toThrow(invalidArgument);
  });
});
