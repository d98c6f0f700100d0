import type { Command } from "commander";
import { KeysteadError } from "../errors.ts";
import { globalOptions } from "./options.ts";

/** Commands that only work where the data folder is, by their words, and what they do there. */
export const localCommands: Readonly<Record<string, string>> = {
  init: "makes a data folder on this machine",
  serve: "serves a data folder of this machine",
  "kek add": "makes a file and names it in keystead.json where the server runs",
  "kek rotate": "makes a file and names it in keystead.json where the server runs",
  "store copy": "works on stores and keystead.json, which only the server's machine reaches",
  "audit archive": "writes its file beside the store, which gives the records up only once the file is there",
};

/** Commands that need no keys at all, and so do the same everywhere. */
export const placelessCommands: Readonly<Record<string, string>> = {
  "audit verify-certificate": "reads a certificate",
  completion: "prints a script",
  complete: "completes a command line",
  tour: "makes a store of its own",
};

/** The address of the server that a command works on; undefined when it works on a data folder: `--dir` stands above `$KEYSTEAD_ADDR`. */
export function serverOf(command: Command): string | undefined {
  const { dir } = globalOptions(command);
  const address = process.env["KEYSTEAD_ADDR"];
  return dir !== undefined || address === undefined || address === "" ? undefined : address;
}

/** Refuses a command that a server can't do for it. @throws KeysteadError `INVALID_ARGUMENT` */
export function assertPlace(command: Command): void {
  const words = wordsOf(command).join(" ");
  const reason = localCommands[words];
  // What `serve` calls its data folder.
  const { data } = command.opts<{ readonly data?: string }>();
  if (reason !== undefined && data === undefined) assertFolder(command, `\`keystead ${words}\``, reason);
}

/**
 * Refuses what a server can't do for a command.
 * @param what is asked for: a command, an option
 * @param reason what it does, for the message
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function assertFolder(command: Command, what: string, reason: string): void {
  if (serverOf(command) === undefined) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `${what} ${reason}, and KEYSTEAD_ADDR names a server; give --dir FOLDER to work on a data folder of this machine`,
  );
}

/** A command's words, without the program's name. */
function wordsOf(command: Command): readonly string[] {
  return command.parent === null ? [] : [...wordsOf(command.parent), command.name()];
}
