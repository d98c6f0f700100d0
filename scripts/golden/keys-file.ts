import {
  derivePassphraseKey,
  formatPassphraseParameters,
  newArgon2idParameters,
  newScryptParameters,
  type PassphraseParameters,
} from "../../src/crypto/passphrase.ts";
import { databaseRows, formatJson, hex } from "./format.ts";
import { type GoldenKeyset, masterKey, store, storeKey } from "./keyset.ts";
import { goldenRandom } from "./source.ts";

/** `keys.json`: from the master key's file down to the key of every version. */
export async function keysFile(keyset: GoldenKeyset): Promise<string> {
  const { keks, wraps, keys, versions, kekId } = keyset;
  return formatJson({
    about: "Keystead format 1, keys at rest: rows as they are in store.sql. Test keys, never use them. Byte strings are hexadecimal.",
    masterKeyFile: masterKey.line,
    checkValue: kekId.slice(kekId.indexOf(":") + 1),
    storeKey: hex(storeKey),
    passphrases: await passphrases(),
    keysetKeys: [...keyset.keysetKeys].map(([keyId, key]) => ({ keyId, key: hex(key) })),
    versionKeys: keyset.opened.map(({ keyId, name, label, material }) => ({ keyId, name, label, key: hex(material.exportBytes()) })),
    manifest: [{ store_id: store.id }],
    keks: databaseRows("keks", keks),
    wraps: databaseRows("wraps", wraps),
    keys: databaseRows("keys", keys),
    versions: databaseRows("versions", versions),
  });
}

/** The cheapest parameters that are accepted, and a passphrase in two Unicode forms, which are two passphrases. */
async function passphrases(): Promise<unknown[]> {
  const random = goldenRandom("passphrases");
  const cheap = { memoryKib: 19_456, passes: 2, parallelism: 1 };
  return [
    await derived("Zoë's horse battery", newArgon2idParameters(random, cheap)),
    await derived("Zoe\u0308's horse battery", newArgon2idParameters(random, { ...cheap, parallelism: 2 })),
    await derived("Zoë's horse battery", newScryptParameters(random)),
  ];
}

async function derived(passphrase: string, parameters: PassphraseParameters): Promise<unknown> {
  const key = await derivePassphraseKey(Buffer.from(passphrase), parameters);
  return { passphrase, parameters: formatPassphraseParameters(parameters), masterKey: hex(key) };
}
