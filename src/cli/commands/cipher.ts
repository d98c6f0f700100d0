import type { Command } from "commander";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../../errors.ts";
import type { CipherOptions, ItemProblem, OpenedItem, SealOptions } from "../../index.ts";
import {
  type ContextFlags,
  contextOf,
  contextOption,
  type InputFlags,
  openLines,
  type TargetFlags,
  targetOf,
  withInput,
  withOutput,
  withTarget,
} from "../data-flags.ts";
import {
  assertWritable,
  type DataSource,
  type DataTarget,
  noteLineEnd,
  openSource,
  peek,
  readWhole,
  watched,
  writeData,
} from "../data-streams.ts";
import { examples } from "../options.ts";
import { type LocalEngine, type Session, withKeystead } from "../session.ts";
import { stoppable } from "../signals.ts";
import { type ConvertedLine, convertLines, openedValue, typedPlaintext, writeValue } from "../value-output.ts";

interface DataFlags extends InputFlags, ContextFlags, DataTarget {
  readonly lines?: boolean;
}

interface EncryptFlags extends DataFlags, TargetFlags {
  readonly dataset?: string;
}

interface RewrapFlags extends DataFlags {
  readonly toKey?: string;
  readonly dataset?: string;
}

/** Begins streams and binary values. */
const magics = { stream: "ks1s:", binary: "ks1b:" } as const;

/** Adds `encrypt`, `decrypt` and `rewrap`. */
export function addCipherCommands(program: Command): void {
  withDataOptions(
    withTarget(
      program
        .command("encrypt")
        .description(
          "Encrypt stdin to one line of text, or a file of any size. Input is taken byte for byte; with --lines, all but the line ends.",
        ),
    )
      .option("--dataset <name>", "dataset that will hold the ciphertext: its census then speaks for it")
      .option("--lines", "encrypt each line of the input, without the LF or CRLF at its end"),
    "file to encrypt as a stream; - is stdin",
  )
    .addHelpText(
      "after",
      examples(
        "printf anna@example.org | keystead encrypt --key pii-email --context table=person --context row=42",
        "keystead encrypt --purpose pii --lines < emails.txt > emails.ks1",
        "keystead encrypt --key backup-2027 --file dump.sql --out dump.sql.ks",
        "pg_dump crm | keystead encrypt --key backup-2027 --file - --out crm.ks",
      ),
    )
    .action((flags: EncryptFlags, command: Command) => withKeystead(command, (session) => encrypt(session, flags)));
  withDataOptions(
    program
      .command("decrypt")
      .description(
        "Decrypt text, binary values and streams; which it is, is recognised. Of a typed value, as tables hold it, the value is written: " +
          "text and bytes as they are, dates as ISO 8601, objects and lists as JSON; --json says the type.",
      )
      .option("--lines", "decrypt each line of the input; each ends with LF"),
    "file to decrypt; - is stdin",
  )
    .addHelpText(
      "after",
      examples(
        "keystead decrypt --context table=person --context row=42 < email.ks1",
        "keystead decrypt --lines < emails.ks1",
        "# a value of a table, in the dataset's context",
        "keystead decrypt --context dataset=crm.person --context row.id=42 --context column=email --json < value.ks1",
        "keystead decrypt --file dump.sql.ks --out dump.sql",
        "keystead decrypt --file crm.ks | psql crm",
      ),
    )
    .action((flags: DataFlags, command: Command) => withKeystead(command, (session) => decrypt(session, flags)));
  withDataOptions(
    program
      .command("rewrap")
      .description(
        "Move ciphertext to the current version of its key, or to another key; also from versions that open nothing else any more. " +
          "The context stays; plaintext is never written. Of a file only the head changes: after a leak decrypt and encrypt it anew.",
      )
      .option("--to-key <key>", "key to move to (default: its own)")
      .option("--dataset <name>", "dataset that will hold the ciphertext")
      .option("--lines", "rewrap each line of the input"),
    "file to rewrap; - is stdin",
  )
    .addHelpText(
      "after",
      examples(
        "keystead rewrap --lines < emails.ks1 > emails.new.ks1",
        "keystead rewrap --file dump.sql.ks --out dump.sql.ks --force",
        "keystead rewrap --to-key archive --file dump.sql.ks --out dump.archive.ks",
      ),
    )
    .action((flags: RewrapFlags, command: Command) => withKeystead(command, (session) => rewrap(session, flags)));
}

function withDataOptions(command: Command, fileMeaning: string): Command {
  return withOutput(withInput(command, fileMeaning), "binary").addOption(contextOption());
}

async function encrypt({ keystead, local, output, clock }: Session, flags: EncryptFlags): Promise<void> {
  const target = targetOf(flags);
  const options: SealOptions = { ...contextOf(flags), ...(flags.dataset !== undefined && { dataset: flags.dataset }) };
  if (flags.lines === true) {
    const seal = async (lines: readonly Buffer[]): Promise<readonly ConvertedLine[]> =>
      (await keystead.encryptMany(lines.map((plaintext) => ({ target, plaintext, ...options })))).map(asCiphertext);
    return convertLines(await openLines(flags), flags, output, seal);
  }
  await assertWritable(flags, flags.file === undefined ? "text" : "binary");
  if (flags.file === undefined) {
    const plaintext = await readWhole(await openSource(undefined), "give --file to work on it as a stream");
    noteLineEnd(plaintext, "is encrypted, too", output);
    const ciphertext = await keystead.encrypt(target, plaintext, options);
    return writeValue({ ciphertext }, `${ciphertext}\n`, flags, output);
  }
  const engine = streaming(local);
  const source = await openSource(flags.file);
  await convertStream(source, flags, output, (signal) =>
    engine.encryptStream(target, watched(source, "encrypt", { output, clock, signal }), options),
  );
}

async function decrypt({ keystead, local, output, clock }: Session, flags: DataFlags): Promise<void> {
  const options = contextOf(flags);
  if (flags.lines === true) {
    const open = (lines: readonly Buffer[]): Promise<readonly ConvertedLine[]> => openLinesOf(keystead, lines, options);
    return convertLines(await openLines(flags), flags, output, open);
  }
  const { form, source } = await recognise(flags);
  if (form === "stream") {
    const engine = streaming(local);
    await assertWritable(flags, "binary");
    return convertStream(source, flags, output, (signal) =>
      engine.decryptStream(watched(source, "decrypt", { output, clock, signal }), options),
    );
  }
  const { plaintext, shown } = await openValue(keystead, await readValue(source, form), options);
  await assertWritable(flags, "plaintext" in shown ? "text" : "binary");
  const onTerminal = flags.out === undefined && process.stdout.isTTY;
  return writeValue(shown, onTerminal ? Buffer.concat([plaintext, Buffer.from("\n")]) : plaintext, flags, output);
}

/** Streams need the key itself for as long as they last. @throws KeysteadError `INVALID_ARGUMENT` where a server has it */
function streaming(local: Session["local"]): LocalEngine["keystead"] {
  if (local !== undefined) return local.keystead;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    "a server takes values, by stdin or with --lines, and no files as streams; give --dir FOLDER to work on a data folder of this machine",
  );
}

/** Opens lines of either kind: what does not open as bytes may be a typed value. */
async function openLinesOf(
  keystead: Session["keystead"],
  lines: readonly Buffer[],
  options: CipherOptions,
): Promise<readonly ConvertedLine[]> {
  const items = lines.map((line) => ({ ciphertext: line.toString("utf8"), ...options }));
  const results = await keystead.decryptMany(items);
  const again = items.filter((_, at) => isProblemOf(results[at], "DECRYPTION_FAILED")).map((item) => ({ ...item, typed: true }));
  const typed = again.length === 0 ? [] : await keystead.decryptMany(again);
  const values = typed[Symbol.iterator]();
  return results.map((result) => shownResult(isProblemOf(result, "DECRYPTION_FAILED") ? (values.next().value ?? result) : result));
}

function shownResult(result: OpenedItem | ItemProblem): ConvertedLine {
  if ("problem" in result) return result;
  if (result.plaintext !== undefined) return openedValue(result.plaintext);
  const { type, plaintext } = typedPlaintext(result.value);
  return { ...openedValue(plaintext), type };
}

function isProblemOf(result: OpenedItem | ItemProblem | undefined, code: ErrorCode): boolean {
  return result !== undefined && "problem" in result && result.problem.code === code;
}

function asCiphertext(result: string | ItemProblem): ConvertedLine {
  return typeof result === "string" ? { ciphertext: result } : result;
}

/** Opens a value of either kind: one that `encrypt` made, or a typed one. */
async function openValue(
  keystead: Session["keystead"],
  sealed: string | Uint8Array,
  options: CipherOptions,
): Promise<{ readonly plaintext: Buffer; readonly shown: object }> {
  try {
    const plaintext = await keystead.decrypt(sealed, options);
    return { plaintext, shown: openedValue(plaintext) };
  } catch (error) {
    if (!isKeysteadError(error, "DECRYPTION_FAILED")) throw error;
    const { type, plaintext } = typedPlaintext(await keystead.decryptValue(sealed, options));
    return { plaintext, shown: { ...openedValue(plaintext), type } };
  }
}

async function rewrap({ keystead, local, output, clock }: Session, flags: RewrapFlags): Promise<void> {
  const { toKey, dataset } = flags;
  const options = { ...contextOf(flags), ...(toKey !== undefined && { key: toKey }), ...(dataset !== undefined && { dataset }) };
  if (flags.lines === true) {
    const move = async (lines: readonly Buffer[]): Promise<readonly ConvertedLine[]> =>
      (await keystead.rewrapMany(lines.map((line) => ({ ciphertext: line.toString("utf8"), ...options })))).map(asCiphertext);
    return convertLines(await openLines(flags), flags, output, move);
  }
  const { form, source } = await recognise(flags);
  await assertWritable(flags, form === "text" ? "text" : "binary");
  if (form === "stream") {
    const engine = streaming(local);
    return convertStream(source, flags, output, (signal) =>
      engine.rewrapStream(watched(source, "rewrap", { output, clock, signal }), options),
    );
  }
  const sealed = await keystead.rewrap(await readValue(source, form), options);
  if (typeof sealed === "string") return writeValue({ ciphertext: sealed }, `${sealed}\n`, flags, output);
  return writeValue({ ciphertextBase64url: sealed.toString("base64url") }, sealed, flags, output);
}

type Form = "stream" | "binary" | "text";

async function recognise({ file }: DataFlags): Promise<{ readonly form: Form; readonly source: DataSource }> {
  const { head, source } = await peek(await openSource(file), magics.stream.length);
  const magic = head.toString("latin1");
  return { form: magic === magics.stream ? "stream" : magic === magics.binary ? "binary" : "text", source };
}

async function readValue(source: DataSource, form: Form): Promise<string | Uint8Array> {
  const bytes = await readWhole(source);
  return form === "binary" ? bytes : bytes.toString("utf8").trim();
}

/** Runs a stream from its source to its target. What can be undone is undone when it fails. */
async function convertStream(
  source: DataSource,
  flags: DataFlags,
  output: Session["output"],
  convert: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const toFile = flags.out !== undefined && flags.out !== "-";
  if (output.json && !toFile)
    throw new KeysteadError("INVALID_ARGUMENT", "a stream has no JSON form; give --out FILE, or leave out --json");
  const bytes = await stoppable((signal) => writeData(flags, convert(signal), output));
  if (toFile) await output.result({ in: source.name, out: flags.out, bytes }, () => "");
}
