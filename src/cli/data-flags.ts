import { type Command, Option } from "commander";
import { KeysteadError } from "../errors.ts";
import type { Context, KeyTarget } from "../index.ts";
import { assertWritable, type DataSource, type DataTarget, openSource } from "./data-streams.ts";
import { parsePairs, repeatable } from "./options.ts";

/** Which key works on data. */
export interface TargetFlags {
  readonly key?: string;
  readonly purpose?: string;
}

/** Where data comes from: a file, or stdin. */
export interface InputFlags {
  readonly file?: string;
}

/** What data is bound to. */
export interface ContextFlags {
  readonly context: readonly string[];
}

/** Says nothing of the arguments: they may be the data. */
const argumentProblem =
  "data and files are not named by themselves: pipe data into stdin, which nobody else sees, or name a file with --file FILE";

/** Adds `--key` and `--purpose`. */
export function withTarget(command: Command): Command {
  return command
    .addOption(new Option("--key <key>", "name or alias of a key").conflicts("purpose"))
    .option("--purpose <purpose>", "take the default key of a purpose");
}

/** Adds `--file`, and refuses data among the arguments. */
export function withInput(command: Command, fileMeaning: string): Command {
  return command
    .allowExcessArguments()
    .hook("preAction", (_, { args }) => {
      if (args.length > 0) throw new KeysteadError("INVALID_ARGUMENT", argumentProblem);
    })
    .option("--file <in>", fileMeaning);
}

/** Adds `--out` and `--force`. @param content what is written, as `assertWritable` takes it */
export function withOutput(command: Command, content: "text" | "binary"): Command {
  return command
    .option("--out <out>", `file to write (mode 0600); - is stdout${content === "binary" ? ", also for binary data on a terminal" : ""}`)
    .option("--force", "replace the file that --out names");
}

/** `--context NAME=VALUE`. */
export function contextOption(): Option {
  return repeatable("--context <name=value>", "pair that the data is bound to, needed again to open it; never personal data");
}

/** The key that is meant. @throws KeysteadError `INVALID_ARGUMENT` when none is named */
export function targetOf({ key, purpose }: TargetFlags): KeyTarget {
  if (key !== undefined) return key;
  if (purpose !== undefined) return { purpose };
  throw new KeysteadError("INVALID_ARGUMENT", "name a key with --key, or a purpose with --purpose");
}

/** The context that is given, where one is. @throws KeysteadError `INVALID_ARGUMENT` */
export function contextOf({ context }: ContextFlags): { readonly context?: Context } {
  return context.length === 0 ? {} : { context: parsePairs(context, "context pair") };
}

/** Opens what is read line by line, once it is sure that the lines can be written. @throws KeysteadError `CONFLICT`, `INVALID_ARGUMENT` */
export async function openLines(flags: InputFlags & DataTarget): Promise<DataSource> {
  await assertWritable(flags, "text");
  return openSource(flags.file);
}
