import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { errorCodes, KeysteadError } from "../../errors.ts";
import type { KekInfo, KekService, RewrapProgress } from "../../index.ts";
import type { MasterKeyOrigin } from "../configuration.ts";
import type { DataFolder } from "../data-folder.ts";
import { formatInstant } from "../instants.ts";
import { examples } from "../options.ts";
import { useFolder, withKeystead } from "../session.ts";
import { formatTable, printable, type TableColumn } from "../table.ts";

interface AddFlags {
  readonly passphrase?: boolean;
}

interface RotateFlags {
  readonly to: string;
  readonly from?: string;
  readonly passphrase?: boolean;
}

/** Adds `kek`. */
export function addKekCommands(program: Command): void {
  const kek = program
    .command("kek")
    .description("Key-encryption keys: what wraps the keys of this store.")
    .addHelpText("after", examples("keystead kek list", "keystead kek add medical", "keystead kek rotate --to main-2027"));
  kek
    .command("list")
    .description("List KEKs with what they wrap, and whether they can be opened.")
    .addHelpText("after", examples("keystead kek list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.keks.list();
        await output.result(found, () => formatTable(found, columns));
      }),
    );
  kek
    .command("test")
    .description("Test whether a KEK can be opened, also one that wraps nothing yet. Exit code 10 when it can't. Nothing is changed.")
    .argument("<kek>", "URI of a KEK: local:NAME")
    .addHelpText("after", examples("keystead kek test local:medical"))
    .action((uri: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const tested = await keystead.keks.test(uri);
        const { available, problem = "" } = tested;
        await output.result({ uri, ...tested }, () => (available ? `${uri} answers` : printable(`${uri} does not answer: ${problem}`)));
        if (!available) process.exitCode = errorCodes.KEK_FAILED.exit;
      }),
    );
  kek
    .command("add")
    .description("Add a master key beside those there are; nothing moves to it. Run it again after anything: it overwrites nothing.")
    .argument("<name>", "name of the master key")
    .option("--passphrase", "it comes from a passphrase, asked for or read from $KEYSTEAD_NEW_PASSPHRASE_FILE")
    .addHelpText(
      "after",
      examples(
        "keystead kek add medical",
        "keystead routes set local:medical --purpose medical",
        "# from a passphrase, which commands without a terminal read from a file",
        "KEYSTEAD_NEW_PASSPHRASE_FILE=/run/secrets/hr keystead kek add hr --passphrase",
        "KEYSTEAD_PASSPHRASE_FILE_HR=/run/secrets/hr keystead kek list",
      ),
    )
    .action(add);
  kek
    .command("rotate")
    .description(
      "Wrap every key under another master key, which is made when it is missing. Data is not touched. Run it again after anything.",
    )
    .requiredOption("--to <name>", "name of the master key to move to")
    .addOption(new Option("--from <uri>", "KEK to move from (default: the only other one in use)"))
    .option("--passphrase", "the new master key comes from a passphrase, asked for or read from $KEYSTEAD_NEW_PASSPHRASE_FILE")
    .addHelpText(
      "after",
      examples(
        "keystead kek rotate --to main-2027",
        "# another passphrase",
        "keystead kek rotate --to main-2027 --passphrase",
        "# the master key leaked: whoever has it may have the keys, too, so make new ones and move the data",
        "keystead keys rotate pii-email && keystead datasets reencrypt crm.person",
      ),
    )
    .action(rotate);
}

async function add(name: string, { passphrase }: AddFlags, command: Command): Promise<void> {
  const { DataFolder, folderOf } = await import("../data-folder.ts");
  const { provideMasterKey, wantMasterKey } = await import("../master-keys.ts");
  const wanted = wantMasterKey(await DataFolder.open(folderOf(command)), name, passphrase === true);
  const { uri, origin, configured, folder, passphrases } = wanted;
  await useFolder(
    folder,
    command,
    async ({ keystead, output }) => {
      await provideMasterKey(keystead, wanted);
      const file = "file" in origin ? { file: resolve(folder.path, origin.file) } : {};
      await output.result({ masterKey: uri, ...file, added: !configured }, () =>
        configured ? `${uri} is there already\n` : `added ${uri}\n`,
      );
      output.note(keep(folder, origin));
      output.note(`send new keys to it with: keystead routes set ${uri} --purpose PURPOSE`);
    },
    { passphrases },
  );
}

function keep(folder: DataFolder, origin: MasterKeyOrigin): string {
  return "file" in origin
    ? `keep a copy of ${join(folder.name, origin.file)} apart from the store's backups: without it what it wraps can never be opened`
    : "keep the passphrase: without it what it wraps can never be opened; every command asks for it from now on";
}

async function rotate({ to, from, passphrase }: RotateFlags, command: Command): Promise<void> {
  const { DataFolder, folderOf } = await import("../data-folder.ts");
  const { provideMasterKey, wantMasterKey } = await import("../master-keys.ts");
  const wanted = wantMasterKey(await DataFolder.open(folderOf(command)), to, passphrase === true);
  const { uri: newUri, origin, folder, passphrases } = wanted;
  await useFolder(
    folder,
    command,
    async ({ keystead, output, clock }) => {
      const oldUri = from ?? (await onlyOther(keystead.keks, newUri));
      await provideMasterKey(keystead, wanted);
      const progress = output.progress({ title: `rewrap under ${newUri}`, unit: "keys" }, clock);
      const result =
        oldUri === undefined
          ? { done: 0, total: 0 }
          : await keystead.keks.rotate(oldUri, newUri, ({ done, total }) => progress.update(done, total)).finally(() => progress.end());
      const summary = { from: oldUri ?? null, to: newUri, ...result };
      await output.result(summary, () => `${describeMove(result, oldUri, newUri)}\n`);
      const advice = oldUri === undefined ? undefined : await retire(folder, oldUri, result.total > 0);
      if (advice !== undefined) output.note(advice);
      output.note(keep(folder, origin));
    },
    { passphrases },
  );
}

function describeMove({ done, total }: RewrapProgress, oldUri: string | undefined, newUri: string): string {
  if (oldUri === undefined) return `every key is under ${newUri} already`;
  return total === 0 ? `nothing is under ${oldUri}` : `${done} of ${total} keys moved to ${newUri}`;
}

async function onlyOther(keks: KekService, uri: string): Promise<string | undefined> {
  const others = (await keks.list()).filter((kek) => kek.uri !== uri && kek.wraps > 0);
  if (others.length <= 1) return others[0]?.uri;
  const names = others.map((kek) => kek.uri).join(", ");
  throw new KeysteadError("INVALID_ARGUMENT", `several KEKs are in use (${names}); say which one to move from with --from`);
}

/** Says what to keep of the old master key. A passphrase that opens nothing any more is not asked for again. */
async function retire(folder: DataFolder, uri: string, moved: boolean): Promise<string | undefined> {
  const { masterKeyName } = await import("../master-keys.ts");
  const name = masterKeyName(uri);
  const origin = folder.configuration.masterKeys[name];
  if (origin === undefined) return moved ? `backups of the store from before now still need ${uri}` : undefined;
  if ("file" in origin)
    return moved ? `keep the old master key as long as backups of the store from before now: ${join(folder.name, origin.file)}` : undefined;
  await folder.change(({ masterKeys, ...rest }) => ({
    ...rest,
    masterKeys: Object.fromEntries(Object.entries(masterKeys).filter(([other]) => other !== name)),
  }));
  return `the passphrase of ${uri} is not asked for any more; keep it as long as backups of the store from before now`;
}

const columns: readonly TableColumn<KekInfo>[] = [
  { title: "kek", cell: ({ uri }) => uri },
  { title: "wraps", cell: ({ wraps }) => wraps },
  { title: "available", cell: ({ available, problem }) => (available ? "yes" : `no: ${problem ?? ""}`) },
  { title: "known since", cell: ({ createdAt }) => formatInstant(createdAt) },
];
