import { type Command, Option } from "commander";
import type { HashName } from "../../index.ts";
import { hashAlgorithmNames } from "../algorithm-names.ts";
import { type InputFlags, openLines, withInput, withOutput } from "../data-flags.ts";
import { assertWritable, type DataTarget, noteLineEnd, openSource, readWhole } from "../data-streams.ts";
import { examples, oneOf, wholeNumber } from "../options.ts";
import { type Session, withKeystead } from "../session.ts";
import { type ConvertedLine, convertLines, writeValue } from "../value-output.ts";

interface HashFlags extends InputFlags, DataTarget {
  readonly algorithm: HashName;
  readonly lines?: boolean;
}

/** Adds `hash` and `random`, which need no key. */
export function addKeylessCommands(program: Command): void {
  const hash = program
    .command("hash")
    .description(
      "Hash stdin or a file with SHA-2 or SHA-3, to hexadecimal. Input is taken byte for byte; with --lines, all but the line ends. " +
        "A hash says nothing about who made it: for that take `keystead mac`.",
    )
    .addOption(oneOf(new Option("--algorithm <name>", "hash function").default("SHA-256"), hashAlgorithmNames))
    .option("--lines", "hash each line of the input, without the LF or CRLF at its end");
  withOutput(withInput(hash, "file with the data; - is stdin"), "text")
    .addHelpText("after", examples("keystead hash --file dump.sql.ks", "keystead hash --algorithm SHA3-512 < dump.sql.ks"))
    .action((flags: HashFlags, command: Command) => withKeystead(command, (session) => hashData(session, flags)));
  withOutput(
    program
      .command("random")
      .description("Draw random bytes on the host that keeps the keys: as they are, or with --json as base64url.")
      .argument("<bytes>", "how many: 1 to 1048576", wholeNumber(1, 2 ** 20)),
    "binary",
  )
    .addHelpText("after", examples("keystead random 32 --out session.key", "keystead random 32 --json", "keystead random 32 | base64"))
    .action((bytes: number, flags: DataTarget, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        await assertWritable(flags, output.json && flags.out === undefined ? "text" : "binary");
        const drawn = await keystead.randomBytes(bytes);
        await writeValue({ bytesBase64url: drawn.toString("base64url") }, drawn, flags, output);
      }),
    );
}

async function hashData({ keystead, output }: Session, flags: HashFlags): Promise<void> {
  const { algorithm } = flags;
  if (flags.lines === true) {
    const hashLines = async (lines: readonly Buffer[]): Promise<readonly ConvertedLine[]> =>
      (await keystead.hashMany(lines.map((data) => ({ data, algorithm })))).map((hash) =>
        "problem" in hash ? hash : { hash: hash.toString("hex"), algorithm },
      );
    return convertLines(await openLines(flags), flags, output, hashLines);
  }
  await assertWritable(flags, "text");
  const data = await readWhole(await openSource(flags.file));
  if (flags.file === undefined) noteLineEnd(data, "is hashed, too", output);
  const hash = (await keystead.hash(data, algorithm)).toString("hex");
  await writeValue({ hash, algorithm }, `${hash}\n`, flags, output);
}
