import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { isKeysteadError, KeysteadError } from "../../errors.ts";
import type { Keystead, KeysteadOptions } from "../../index.ts";
import { examples } from "../options.ts";
import { outputOf } from "../output.ts";

interface InitFlags {
  readonly name: string;
  readonly passphrase?: boolean;
  readonly store?: string;
}

const ownerOnly = 0o700;
const others = 0o077;

/** Adds `init`. */
export function addInitCommand(program: Command): void {
  program
    .command("init")
    .description("Make a data folder: a master key, an empty store and the local configuration.")
    .addOption(new Option("--name <name>", "name of the master key").default("main"))
    .option("--store <url>", "keep the store in a PostgreSQL database that other machines share; default: a file in the folder")
    .option("--passphrase", "derive the master key from a passphrase, asked for or read from $KEYSTEAD_PASSPHRASE_FILE")
    .addHelpText(
      "after",
      examples(
        "keystead init",
        "keystead init --dir /var/lib/keystead --name production",
        "KEYSTEAD_PASSPHRASE_FILE=/run/secrets/keystead keystead init --passphrase",
        "keystead init --store 'postgresql://keystead@db.internal/registry?passfile=/etc/keystead/pgpass'",
      ),
    )
    .addHelpText(
      "after",
      `
The local configuration, keystead.json:
  {
    "store": "sqlite:keystead.db",
    "masterKeys": { "main": { "file": "master.key" }, "other": { "passphrase": "ask" } },
    "databases": { "crm": "sqlite:/srv/crm.db" }
  }`,
    )
    .action(initialise);
}

async function initialise({ name: keyName, passphrase, store }: InitFlags, command: Command): Promise<void> {
  const { DataFolder, folderFiles, folderOf } = await import("../data-folder.ts");
  const { keysteadOptions } = await import("../session.ts");
  const { assertNoPassword, configuredUrl } = await import("../configuration.ts");
  const { makeMasterKeyFile, masterKeyUri } = await import("../master-keys.ts");
  const output = outputOf(command);
  const name = folderOf(command);
  await makeFolder(name);
  if (await exists(join(name, folderFiles.configuration))) {
    throw new KeysteadError("STORE_EXISTS", `${name} is a data folder already and is left as it is; choose another with --dir`);
  }
  const configuration = {
    store: configuredUrl(assertNoPassword(store ?? `sqlite:${folderFiles.store}`), name),
    masterKeys: { [keyName]: passphrase === true ? { passphrase: "ask" as const } : { file: folderFiles.masterKey } },
    databases: {},
    codecs: {},
  };
  const folder = DataFolder.unsaved(name, configuration);
  const keyFile = join(name, folderFiles.masterKey);
  if (passphrase !== true) await makeMasterKeyFile(keyFile, keyName);
  const keystead = await makeStore(await keysteadOptions(folder, { typedTwice: keyName }));
  const { id } = keystead.store;
  await keystead.close();
  // Last: a folder with a configuration is a whole one, and `init` may be run again until then.
  await folder.create();
  await output.result({ store: id, folder: folder.path, masterKey: masterKeyUri(keyName) }, () => `made store ${id} in ${name}\n`);
  output.note(
    passphrase === true
      ? "keep the passphrase: without it nothing in this store can ever be opened"
      : `keep a copy of ${keyFile} apart from the store's backups: without it nothing in this store can ever be opened`,
  );
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

/** Makes the store, or takes the one that an interrupted `init` made. */
async function makeStore(options: KeysteadOptions): Promise<Keystead> {
  const { initKeystead, openKeystead } = await import("../../index.ts");
  try {
    return await initKeystead(options);
  } catch (error) {
    if (!isKeysteadError(error, "STORE_EXISTS")) throw error;
    return openKeystead(options);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
