import { createCipheriv, randomBytes } from "node:crypto";
import { formatText, textPrefix } from "../../src/crypto/ciphertext.ts";
import { createAadEncoder } from "../../src/crypto/context.ts";
import type { LeasedKey } from "../../src/keys/lease-service.ts";

/** Ciphertext of a text, made with a lease alone, as `docs/format.md` says. */
export function sealWith({ key, keyId, label, prefix, aesKey }: LeasedKey, plaintext: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", aesKey, nonce).setAAD(createAadEncoder("value", keyId, label)(undefined));
  const sealed = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final()]);
  return formatText(textPrefix(key, label), Buffer.concat([prefix, nonce, sealed, cipher.getAuthTag()]));
}
