import { decodeBase64 } from "../../../crypto/base64.ts";
import { SecretBytes } from "../../../crypto/secret-bytes.ts";
import { KeysteadError } from "../../../errors.ts";
import { openForeign } from "../foreign-aead.ts";
import type { KeyRow } from "./key-rows.ts";
import { takeApart } from "./layout.ts";

const mostVersions = 64;
const dataKeyBytes = 32;

/**
 * Every version of a data key, the newest first; the caller wipes them. Values don't say which of them sealed them.
 * @throws KeysteadError `INVALID_ARGUMENT` when there is no such key, or a row is none of the database provider;
 *   `WRONG_MASTER_KEY` naming the version that does not unwrap
 */
export function unwrapDataKeys(rows: readonly KeyRow[], keyId: string, masterKey: SecretBytes, codec: string): SecretBytes[] {
  const versions = rows.filter((row) => row.keyId === keyId).sort((a, b) => b.version - a.version);
  if (versions.length === 0) {
    const known = [...new Set(rows.map((row) => row.keyId))].slice(0, 20).join(", ") || "none";
    throw new KeysteadError("INVALID_ARGUMENT", `codec ${codec}: spp_encryption_key has no row of key ${keyId}; it has: ${known}`);
  }
  if (versions.length > mostVersions)
    throw new KeysteadError("INVALID_ARGUMENT", `codec ${codec}: key ${keyId} has more than ${String(mostVersions)} versions`);
  const keys: SecretBytes[] = [];
  try {
    for (const row of versions) keys.push(unwrap(row, masterKey, codec));
    return keys;
  } catch (error) {
    for (const key of keys) key.wipe();
    throw error;
  }
}

function unwrap({ keyId, version, wrapped }: KeyRow, masterKey: SecretBytes, codec: string): SecretBytes {
  const message = takeApart(decodeBase64(wrapped));
  const which = `version ${String(version)} of key ${keyId}`;
  if (message?.ciphertext.length !== dataKeyBytes) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `codec ${codec}: ${which} is not wrapped as the database provider of OpenSPP does; keys of its other providers can't be read`,
    );
  }
  const aad = Buffer.from(`spp.encryption.key:${keyId}`);
  const bytes = openForeign("aes-256-gcm", [masterKey], message, aad);
  if (bytes === undefined) {
    throw new KeysteadError(
      "WRONG_MASTER_KEY",
      `codec ${codec}: ${which} does not unwrap with this master key; give the one of SPP_MASTER_KEY or odoo.conf, or databaseUuid if there was none`,
    );
  }
  try {
    return new SecretBytes(bytes);
  } finally {
    bytes.fill(0);
  }
}
