import { join } from "node:path";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Keystead } from "../index.ts";
import type { Configuration, MasterKeyOrigin } from "./configuration.ts";
import { DataFolder } from "./data-folder.ts";
import type { PassphraseOptions } from "./session.ts";

const scheme = "local:";

/** URI of a master key. */
export function masterKeyUri(name: string): string {
  return `${scheme}${name}`;
}

/** Name of a master key that was typed as a name or as a URI. */
export function masterKeyName(nameOrUri: string): string {
  return nameOrUri.startsWith(scheme) ? nameOrUri.slice(scheme.length) : nameOrUri;
}

/** A master key that a data folder has, or is to get. */
export interface WantedMasterKey {
  readonly name: string;
  readonly uri: string;
  readonly origin: MasterKeyOrigin;
  /** The configuration names it already. */
  readonly configured: boolean;
  /** The folder with it. Nothing is written before {@link provideMasterKey}. */
  readonly folder: DataFolder;
  readonly passphrases: PassphraseOptions;
}

/**
 * Looks what a master key is, or will be.
 * @throws KeysteadError `INVALID_ARGUMENT` when a passphrase is wanted for one that comes from a file
 */
export function wantMasterKey(saved: DataFolder, nameOrUri: string, passphrase: boolean): WantedMasterKey {
  const name = masterKeyName(nameOrUri);
  const uri = masterKeyUri(name);
  const known = saved.configuration.masterKeys[name];
  if (passphrase && known !== undefined && "file" in known)
    throw new KeysteadError("INVALID_ARGUMENT", `${uri} is there already and comes from a file; choose another name`);
  const origin = known ?? (passphrase ? { passphrase: "ask" as const } : { file: `master-${name}.key` });
  return {
    name,
    uri,
    origin,
    configured: known !== undefined,
    folder: known === undefined ? DataFolder.unsaved(saved.name, withMasterKey(saved.configuration, name, origin)) : saved,
    passphrases: "passphrase" in origin ? { fromNewFile: name, ...(known === undefined && { typedTwice: name }) } : {},
  };
}

/**
 * Makes sure that a master key is there: its file, what the store knows of it, and last the configuration. So whatever interrupts it,
 * the same call takes what is there and does the rest, and the configuration never names a master key that can't be used.
 * @throws KeysteadError `WRONG_MASTER_KEY`, `KEK_FAILED` when the store knows it and its file is not there, `CONFLICT`
 */
export async function provideMasterKey(keystead: Keystead, { name, uri, origin, configured, folder }: WantedMasterKey): Promise<void> {
  // One that the store knows may wrap keys: a new file would only be in the way of the right one.
  const isKnown = (await keystead.keks.list()).some((kek) => kek.uri === uri);
  if ("file" in origin && !configured && !isKnown) await makeMasterKeyFile(join(folder.path, origin.file), name);
  await keystead.keks.add(uri);
  if (!configured) await folder.change((configuration) => withMasterKey(configuration, name, origin));
}

/** A file that is there is taken: it was made before an interruption, or put there by a person who restores a store. */
export async function makeMasterKeyFile(file: string, name: string): Promise<void> {
  const { createMasterKeyFile, systemRandom } = await import("../index.ts");
  await createMasterKeyFile(file, name, systemRandom).catch((error: unknown) => {
    if (!isKeysteadError(error, "CONFLICT")) throw error;
  });
}

function withMasterKey(configuration: Configuration, name: string, origin: MasterKeyOrigin): Configuration {
  return { ...configuration, masterKeys: { ...configuration.masterKeys, [name]: origin } };
}
