import type { Command } from "commander";
import { KeysteadError } from "../../errors.ts";
import type { Revealed } from "../../index.ts";
import { assertWritable, type DataTarget, openSource, readWhole, writeData } from "../data-streams.ts";
import { examples, parsePairs, repeatable } from "../options.ts";
import { type Session, withKeystead } from "../session.ts";
import { openedValue } from "../value-output.ts";

interface RevealFlags extends DataTarget {
  readonly file?: string;
  readonly context: readonly string[];
  readonly reason?: string;
}

/** Adds `reveal`. */
export function addRevealCommand(program: Command): void {
  program
    .command("reveal")
    .description(
      "Show a field to a person: the plaintext for a reason, or the masked form that policies say. Each call is recorded with its reason.",
    )
    .allowExcessArguments()
    .hook("preAction", (_, { args }) => {
      if (args.length > 0)
        throw new KeysteadError(
          "INVALID_ARGUMENT",
          "ciphertext is not given by itself: pipe it into stdin, or name a file with --file FILE",
        );
    })
    .option("--file <in>", "file with the ciphertext of one value; - is stdin")
    .option("--out <out>", "file to write (mode 0600); - is stdout")
    .option("--force", "replace the file that --out names")
    .option("--reason <text>", "why the plaintext is needed: a ticket or a task, nothing of the value; the audit keeps it")
    .addOption(repeatable("--context <name=value>", "pair that the data is bound to"))
    .addHelpText(
      "after",
      examples(
        "keystead reveal --context table=person --context column=ssn < ssn.ks1",
        "keystead reveal --context table=person --context column=ssn --reason 'ticket 4711' < ssn.ks1",
      ),
    )
    .action((flags: RevealFlags, command: Command) => withKeystead(command, (session) => reveal(session, flags)));
}

async function reveal({ keystead, output }: Session, flags: RevealFlags): Promise<void> {
  const { context, reason } = flags;
  // What could not be written anyway is not shown, nor recorded as shown.
  await assertWritable(flags, "text");
  const bytes = await readWhole(await openSource(flags.file));
  const sealed = bytes.subarray(0, 5).toString("latin1") === "ks1b:" ? bytes : bytes.toString("utf8").trim();
  const revealed = await keystead.reveal(sealed, {
    ...(context.length > 0 && { context: parsePairs(context, "context pair") }),
    ...(reason !== undefined && { reason }),
  });
  if (flags.out === undefined && output.json) return output.result(revealed, () => "");
  await writeText(revealed, flags, output);
}

async function writeText({ text, masked }: Revealed, flags: RevealFlags, output: Session["output"]): Promise<void> {
  const plaintext = Buffer.from(text);
  await assertWritable(flags, "plaintext" in openedValue(plaintext) ? "text" : "binary");
  const more = flags.reason === undefined ? "--reason may show more, where a policy lets it" : "policies show you no more";
  if (masked) output.note(`this is the masked form; ${more}`);
  const onTerminal = flags.out === undefined && process.stdout.isTTY;
  const bytes = await writeData(flags, [onTerminal ? `${text}\n` : plaintext], output);
  if (flags.out !== undefined && flags.out !== "-") await output.result({ out: flags.out, bytes, masked }, () => "");
}
