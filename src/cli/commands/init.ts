import { type Command, Option } from "commander";
import { examples } from "../options.ts";
import { outputOf } from "../output.ts";

interface InitFlags {
  readonly name: string;
  readonly passphrase?: boolean;
  readonly store?: string;
}

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

async function initialise({ name: keyName, passphrase = false, store }: InitFlags, command: Command): Promise<void> {
  const { folderOf } = await import("../data-folder.ts");
  const { makeDataFolder } = await import("../make-data-folder.ts");
  const { masterKeyUri } = await import("../master-keys.ts");
  const output = outputOf(command);
  const name = folderOf(command);
  const made = await makeDataFolder(name, { keyName, passphrase, ...(store !== undefined && { store }) });
  await output.result(
    { store: made.store, folder: made.folder.path, masterKey: masterKeyUri(keyName) },
    () => `made store ${made.store} in ${name}\n`,
  );
  output.note(
    made.keyFile === undefined
      ? "keep the passphrase: without it nothing in this store can ever be opened"
      : `keep a copy of ${made.keyFile} apart from the store's backups: without it nothing in this store can ever be opened`,
  );
}
