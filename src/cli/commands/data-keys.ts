import { resolve } from "node:path";
import type { Command } from "commander";
import { KeysteadError } from "../../errors.ts";
import {
  type ContextFlags,
  contextOf,
  contextOption,
  type InputFlags,
  type TargetFlags,
  targetOf,
  withInput,
  withOutput,
  withTarget,
} from "../data-flags.ts";
import { assertWritable, type DataTarget, openSource, readWhole, writeData } from "../data-streams.ts";
import { examples, wholeNumber } from "../options.ts";
import { type Session, withKeystead } from "../session.ts";
import { writeValue } from "../value-output.ts";

interface CreateFlags extends TargetFlags, ContextFlags, DataTarget {
  readonly bytes: number;
  readonly plainOut?: string;
}

interface OpenFlags extends InputFlags, ContextFlags, DataTarget {}

/** Adds `data-keys`. */
export function addDataKeyCommands(program: Command): void {
  const dataKeys = program
    .command("data-keys")
    .description("Keys that encrypt data elsewhere, and are stored beside it, sealed under a key of this store.")
    .addHelpText(
      "after",
      examples(
        "keystead data-keys create --key files --context file=42 > file.key.ks1",
        "keystead data-keys open --context file=42 --file file.key.ks1 --out file.key",
      ),
    );
  withOutput(
    withTarget(dataKeys.command("create").description("Make a data key. Only its sealed form is shown, until --plain-out asks for more."))
      .option("--bytes <bytes>", "its length: 16 to 64", wholeNumber(16, 64), 32)
      .option("--plain-out <file>", "also write the key itself, to this file (mode 0600); - is stdout, when --out names a file"),
    "text",
  )
    .addOption(contextOption())
    .addHelpText(
      "after",
      examples(
        "keystead data-keys create --key files --context file=42 > file.key.ks1",
        "keystead data-keys create --key files --context file=42 --out file.key.ks1 --plain-out file.key",
      ),
    )
    .action((flags: CreateFlags, command: Command) => withKeystead(command, (session) => create(session, flags)));
  withOutput(
    withInput(
      dataKeys.command("open").description("Open a sealed data key: its bytes, as they are; with --json as base64url."),
      "file with the sealed data key; - is stdin",
    ),
    "binary",
  )
    .addOption(contextOption())
    .addHelpText(
      "after",
      examples(
        "keystead data-keys open --context file=42 --file file.key.ks1 --out file.key",
        "keystead data-keys open < disk.key.ks1 | cryptsetup open -d - /dev/sdb1 data",
      ),
    )
    .action((flags: OpenFlags, command: Command) => withKeystead(command, (session) => open(session, flags)));
}

async function create({ keystead, output }: Session, flags: CreateFlags): Promise<void> {
  const { bytes, plainOut, force } = flags;
  const target = targetOf(flags);
  if (plainOut !== undefined && placeOf(plainOut) === placeOf(flags.out ?? "-"))
    throw new KeysteadError("INVALID_ARGUMENT", "the data key and its sealed form go to two places; name a file for each");
  // A key that could not be written anyway is not made.
  await assertWritable(flags, "text");
  await assertWritable({ out: plainOut ?? "-", force }, "binary");
  const { ciphertext, plaintext } = await keystead.dataKeys.create(target, { ...contextOf(flags), bytes, plain: plainOut !== undefined });
  const sealed = `${ciphertext}\n`;
  // The sealed form is first: without it what the key encrypts is lost.
  if (plainOut === "-") await writeData(flags, [sealed], output);
  else await writeValue({ ciphertext }, sealed, flags, output);
  if (plainOut !== undefined && plaintext !== undefined) await writeData({ out: plainOut, force }, [plaintext], output);
}

/** Where something is written: a file can be named in several ways. */
function placeOf(out: string): string {
  return out === "-" ? out : resolve(out);
}

async function open({ keystead, output }: Session, flags: OpenFlags): Promise<void> {
  // What could not be written anyway is not opened.
  await assertWritable(flags, output.json && flags.out === undefined ? "text" : "binary");
  const sealed = (await readWhole(await openSource(flags.file))).toString("utf8").trim();
  const plaintext = await keystead.dataKeys.open(sealed, contextOf(flags));
  await writeValue({ plaintextBase64url: plaintext.toString("base64url") }, plaintext, flags, output);
}
