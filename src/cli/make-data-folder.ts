import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Keystead, KeysteadOptions } from "../index.ts";
import { assertNoPassword, configuredUrl } from "./configuration.ts";
import { DataFolder, folderFiles } from "./data-folder.ts";
import { makeMasterKeyFile } from "./master-keys.ts";
import { keysteadOptions } from "./session.ts";

/** What a new data folder is to have. */
export interface DataFolderWishes {
  /** Name of the master key. */
  readonly keyName: string;
  /** URL of the store; absent: a file in the folder. */
  readonly store?: string;
  /** The master key comes from a passphrase, which is asked for; otherwise from a new file in the folder. */
  readonly passphrase: boolean;
}

/** A data folder that was just made. */
export interface MadeDataFolder {
  readonly folder: DataFolder;
  /** Id of the store. */
  readonly store: string;
  /** File of the master key; absent for a passphrase. */
  readonly keyFile?: string;
}

const ownerOnly = 0o700;
const others = 0o077;

/** True for a folder that has a local configuration. */
export async function isDataFolder(name: string): Promise<boolean> {
  return (await stat(join(name, folderFiles.configuration)).catch(() => undefined)) !== undefined;
}

/**
 * Makes a data folder, and whatever an interruption of the same left undone.
 * @throws KeysteadError `STORE_EXISTS` for one that is a data folder already, `INSECURE_FILE` when others may use it, `STORE_FAILED`
 */
export async function makeDataFolder(name: string, { keyName, store, passphrase }: DataFolderWishes): Promise<MadeDataFolder> {
  await makeFolder(name);
  if (await isDataFolder(name))
    throw new KeysteadError("STORE_EXISTS", `${name} is a data folder already and is left as it is; choose another with --dir`);
  const folder = DataFolder.unsaved(name, {
    store: configuredUrl(assertNoPassword(store ?? `sqlite:${folderFiles.store}`), name),
    masterKeys: { [keyName]: passphrase ? { passphrase: "ask" as const } : { file: folderFiles.masterKey } },
    databases: {},
    codecs: {},
  });
  const keyFile = join(name, folderFiles.masterKey);
  if (!passphrase) await makeMasterKeyFile(keyFile, keyName);
  const keystead = await makeStore(await keysteadOptions(folder, { typedTwice: keyName }));
  const { id } = keystead.store;
  await keystead.close();
  // Last: a folder with a configuration is a whole one, and it may be made again until then.
  await folder.create();
  return { folder, store: id, ...(!passphrase && { keyFile }) };
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: ownerOnly }).catch((cause: unknown) => {
    throw new KeysteadError("STORE_FAILED", `the data folder ${folder} can't be made; name another with --dir`, { cause });
  });
  const { mode } = await stat(folder);
  if (process.platform !== "win32" && (mode & others) !== 0) {
    throw new KeysteadError("INSECURE_FILE", `others than its owner may use ${folder}; run: chmod 700 ${folder}`);
  }
}

/** Makes the store, or takes the one that an interruption left. */
async function makeStore(options: KeysteadOptions): Promise<Keystead> {
  const { initKeystead, openKeystead } = await import("../index.ts");
  try {
    return await initKeystead(options);
  } catch (error) {
    if (!isKeysteadError(error, "STORE_EXISTS")) throw error;
    return openKeystead(options);
  }
}
