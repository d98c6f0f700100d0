import { createSecretKey, type KeyObject } from "node:crypto";
import { bytes, choice, either, isPlainObject, number, object, optional, type Rule, text, textOrBytes } from "../../arguments.ts";
import {
  type Argon2idCosts,
  derivePassphraseKey,
  formatPassphraseParameters,
  newArgon2idParameters,
  newScryptParameters,
  parsePassphraseParameters,
  type PassphraseParameters,
  type ScryptCosts,
} from "../../crypto/passphrase.ts";
import type { RandomSource } from "../../crypto/random.ts";
import { SecretBytes } from "../../crypto/secret-bytes.ts";
import { encodeUtf8 } from "../../crypto/text.ts";
import { KeysteadError } from "../../errors.ts";
import { readMasterKeyFile } from "./master-key-file.ts";

const keyLength = 32;

/** How a passphrase is turned into a master key when it is first used; afterwards the store's parameters count. */
export type PassphraseCosts =
  ({ readonly algorithm: "argon2id" } & Partial<Argon2idCosts>) | ({ readonly algorithm: "scrypt" } & Partial<ScryptCosts>);

/**
 * Where the master key of a name comes from: a file made by `createMasterKeyFile`, 32 bytes that the caller keeps elsewhere,
 * or a passphrase (8 to 4,096 bytes; text is taken as UTF-8, not normalised; Argon2id with 64 MiB unless `parameters` say more).
 */
export type MasterKeyConfig =
  | { readonly file: string }
  | { readonly bytes: Uint8Array }
  | { readonly passphrase: Uint8Array | string; readonly parameters?: PassphraseCosts };

const argon2idCosts = object<Extract<PassphraseCosts, { readonly algorithm: "argon2id" }>>({
  algorithm: choice("argon2id", "scrypt"),
  memoryKib: optional(number),
  passes: optional(number),
  parallelism: optional(number),
});
const scryptCosts = object<Extract<PassphraseCosts, { readonly algorithm: "scrypt" }>>({
  algorithm: choice("scrypt"),
  logCost: optional(number),
  blockSize: optional(number),
  parallelism: optional(number),
});
const passphraseCosts: Rule = (value, path) =>
  isPlainObject(value) && value["algorithm"] === "scrypt" ? scryptCosts(value, path) : argon2idCosts(value, path);

/** What a {@link MasterKeyConfig} must be. */
export const masterKeyConfig = either({
  file: object<{ readonly file: string }>({ file: text }),
  bytes: object<{ readonly bytes: Uint8Array }>({ bytes }),
  passphrase: object<Extract<MasterKeyConfig, { readonly passphrase: unknown }>>({
    passphrase: textOrBytes,
    parameters: optional(passphraseCosts),
  }),
});

/** A master key, ready to use. */
export interface LoadedMasterKey {
  readonly key: KeyObject;
  /** Text of the passphrase parameters; undefined when there was no passphrase. */
  readonly derivation: string | undefined;
}

/** Loads a master key. `derivation`: the store's passphrase parameters; undefined on first use. */
export type MasterKeySource = (derivation: string | undefined) => Promise<LoadedMasterKey>;

function toKeyObject(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

function newParameters(costs: PassphraseCosts = { algorithm: "argon2id" }, random: RandomSource): PassphraseParameters {
  if (costs.algorithm === "argon2id") {
    const { algorithm: _, ...given } = costs;
    return newArgon2idParameters(random, given);
  }
  const { algorithm: _, ...given } = costs;
  return newScryptParameters(random, given);
}

function storedParameters(text: string): PassphraseParameters {
  const parameters = parsePassphraseParameters(text);
  if (parameters === undefined) {
    throw new KeysteadError(
      "KEK_FAILED",
      "the stored passphrase parameters are malformed or out of bounds; restore the store from its backup",
    );
  }
  return parameters;
}

function passphraseSource(passphrase: Uint8Array | string, costs: PassphraseCosts | undefined, random: RandomSource): MasterKeySource {
  const secret = new SecretBytes(typeof passphrase === "string" ? encodeUtf8(passphrase, "passphrase") : passphrase);
  return async (derivation) => {
    const parameters = derivation === undefined ? newParameters(costs, random) : storedParameters(derivation);
    const key = toKeyObject(await secret.use((bytes) => derivePassphraseKey(bytes, parameters)));
    return { key, derivation: formatPassphraseParameters(parameters) };
  };
}

/**
 * Makes the source of one configured master key. Bytes and passphrase are copied and kept where nothing prints them.
 * @throws KeysteadError `INVALID_ARGUMENT` for bytes of another length than 32
 */
export function createMasterKeySource(name: string, config: MasterKeyConfig, random: RandomSource): MasterKeySource {
  if ("file" in config) {
    const { file } = config;
    return async () => ({ key: toKeyObject(await readMasterKeyFile(file, name)), derivation: undefined });
  }
  if ("bytes" in config) {
    if (config.bytes.length !== keyLength) {
      throw new KeysteadError("INVALID_ARGUMENT", `the master key ${name} must have 32 bytes, not ${String(config.bytes.length)}`);
    }
    const key = createSecretKey(config.bytes);
    return () => Promise.resolve({ key, derivation: undefined });
  }
  return passphraseSource(config.passphrase, config.parameters, random);
}
