import { createHash } from "node:crypto";
import { SecretBytes } from "../../../crypto/secret-bytes.ts";
import { KeysteadError } from "../../../errors.ts";
import { loadKey, readSecretFile } from "../key-source.ts";
import type { OpensppOptions } from "./options.ts";

const keyBytes = 32;
const derivationPrefix = "openspp-master-key-derivation-v1";
const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The key that OpenSPP derives from the UUID of its database, in lower case. */
export function deriveMasterKey(databaseUuid: string): Buffer {
  return createHash("sha256").update(derivationPrefix).update(databaseUuid).digest();
}

/** The master key; the caller wipes it. @throws KeysteadError `INVALID_ARGUMENT`, `INSECURE_FILE` */
export async function loadMasterKey({ masterKey, databaseUuid }: OpensppOptions, codec: string): Promise<SecretBytes> {
  if (masterKey !== undefined) return loadKey(masterKey, keyBytes, { codec, what: "master key" });
  const words = { codec, what: "database UUID" };
  const file = databaseUuid?.file ?? "";
  const content = await readSecretFile(file, 64, words);
  const uuid = content.toString("latin1").trim();
  content.fill(0);
  if (!uuidPattern.test(uuid))
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `codec ${codec}: ${file} does not hold a UUID in lower case; write it as Odoo's database.uuid`,
    );
  const derived = deriveMasterKey(uuid);
  try {
    return new SecretBytes(derived);
  } finally {
    derived.fill(0);
  }
}
