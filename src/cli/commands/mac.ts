import { type Command, Option } from "commander";
import { errorCodes } from "../../errors.ts";
import { type InputFlags, openLines, type TargetFlags, targetOf, withInput, withOutput, withTarget } from "../data-flags.ts";
import { assertWritable, type DataTarget, noteLineEnd, openSource, readWhole } from "../data-streams.ts";
import { examples } from "../options.ts";
import { type Session, withKeystead } from "../session.ts";
import { type ConvertedLine, convertLines, writeValue } from "../value-output.ts";

interface MacFlags extends TargetFlags, InputFlags, DataTarget {
  readonly lines?: boolean;
}

interface VerifyFlags extends TargetFlags, InputFlags {
  readonly tag: string;
}

/** Adds `mac` and `verify-mac`. */
export function addMacCommands(program: Command): void {
  const mac = program
    .command("mac")
    .description(
      "Make an authentication tag of stdin or a file, under a key of usage mac. Input is taken byte for byte; with --lines, all but the line ends.",
    );
  withOutput(
    withInput(
      withTarget(mac).option("--lines", "make a tag of each line of the input, without the LF or CRLF at its end"),
      "file with the data; - is stdin",
    ),
    "text",
  )
    .addHelpText(
      "after",
      examples(
        "keystead keys create webhooks --purpose pii --usage mac",
        'printf %s "$BODY" | keystead mac --key webhooks',
        "keystead mac --key webhooks --file body.json",
      ),
    )
    .action((flags: MacFlags, command: Command) => withKeystead(command, (session) => makeTag(session, flags)));
  withInput(
    withTarget(program.command("verify-mac").description("Check an authentication tag. Exit code 3 when it is not of this data and key.")),
    "file with the data; - is stdin",
  )
    .addOption(new Option("--tag <tag>", "what `keystead mac` printed: LABEL.TAG").makeOptionMandatory())
    .addHelpText(
      "after",
      examples(
        'printf %s "$BODY" | keystead verify-mac --key webhooks --tag "$TAG"',
        'keystead verify-mac --key webhooks --tag "$TAG" --file body.json',
      ),
    )
    .action((flags: VerifyFlags, command: Command) => withKeystead(command, (session) => verifyTag(session, flags)));
}

async function makeTag({ keystead, output }: Session, flags: MacFlags): Promise<void> {
  const target = targetOf(flags);
  if (flags.lines === true) {
    const tagLines = async (lines: readonly Buffer[]): Promise<readonly ConvertedLine[]> =>
      (await keystead.macMany(lines.map((data) => ({ target, data })))).map((tag) => (typeof tag === "string" ? { tag } : tag));
    return convertLines(await openLines(flags), flags, output, tagLines);
  }
  await assertWritable(flags, "text");
  const data = await readWhole(await openSource(flags.file));
  if (flags.file === undefined) noteLineEnd(data, "is part of what the tag is of", output);
  const tag = await keystead.mac(target, data);
  await writeValue({ tag }, `${tag}\n`, flags, output);
}

async function verifyTag({ keystead, output }: Session, flags: VerifyFlags): Promise<void> {
  const target = targetOf(flags);
  const valid = await keystead.verifyMac(target, await readWhole(await openSource(flags.file)), flags.tag);
  await output.result({ valid }, () => (valid ? "the tag is good" : "the tag is not of this data and key"));
  if (!valid) process.exitCode = errorCodes.VERIFICATION_FAILED.exit;
}
