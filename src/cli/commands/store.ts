import type { Command } from "commander";
import { KeysteadError } from "../../errors.ts";
import { examples } from "../options.ts";
import { outputOf } from "../output.ts";

interface CopyFlags {
  readonly move?: boolean;
}

/** Adds `store`. */
export function addStoreCommands(program: Command): void {
  program
    .command("store")
    .description("Copy or move the store.")
    .addHelpText("after", examples("keystead store copy --move 'postgresql://keystead@db.internal/registry?passfile=/etc/keystead/pgpass'"))
    .command("copy")
    .description(
      "Copy the whole store to an empty place, and compare both row by row. In the copy every key that encrypts is rotated before it seals.",
    )
    .argument("<urls...>", "[FROM] TO: URLs of stores; FROM is the data folder's store when left out")
    .option("--move", "the copy takes the original's place: keystead.json names it, and the original refuses all use")
    .addHelpText(
      "after",
      examples(
        "keystead store copy --move 'postgresql://keystead@db.internal/registry?passfile=/etc/keystead/pgpass'",
        "# afterwards, once for all keys:",
        "keystead keys rotate --all",
        "keystead store copy sqlite:/backup/keystead.db sqlite:./drill.db",
      ),
    )
    .action(copyStore);
}

async function copyStore(urls: readonly string[], { move = false }: CopyFlags, command: Command): Promise<void> {
  const { DataFolder, folderOf } = await import("../data-folder.ts");
  const { absoluteUrl, assertNoPassword, configuredUrl } = await import("../configuration.ts");
  const { keysteadOptions } = await import("../session.ts");
  const { copyKeystead, systemClock } = await import("../../index.ts");
  const [to, from, ...more] = urls.map((url) => absoluteUrl(assertNoPassword(url), process.cwd())).reverse();
  if (to === undefined || more.length > 0) throw new KeysteadError("INVALID_ARGUMENT", "name one store to copy to, or two: FROM and TO");
  const folder = await DataFolder.open(folderOf(command));
  const options = await keysteadOptions(folder);
  const isConfigured = from === undefined || from === options.store;
  const output = outputOf(command);
  const progress = output.progress({ title: move ? "move store" : "copy store", unit: "rows" }, systemClock);
  let copied;
  try {
    copied = await copyKeystead({ ...options, ...(from !== undefined && { store: from }) }, to, {
      move,
      onProgress: (rows) => {
        progress.update(rows, undefined);
      },
    });
  } finally {
    progress.end();
  }
  const isNamed = move && isConfigured;
  if (isNamed) await folder.change((configuration) => ({ ...configuration, store: configuredUrl(to, folder.path) }));
  const report = { ...copied, moved: move, configured: isNamed };
  await output.result(report, () => `${move ? "moved" : "copied"} ${String(report.rows)} rows from ${report.from} to ${report.to}\n`);
  if (isNamed) output.note("keystead.json names the new store; name it in the data folders of other machines, too");
  else if (move) output.note("the original refuses all use: name the new store in keystead.json");
  else output.note("these are two stores now, and neither learns of what the other does");
  if (report.keysToRotate.length > 0)
    output.note("in the copy keys seal nothing until they are rotated: run `keystead keys rotate --all` there");
}
