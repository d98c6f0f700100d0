import { openSync } from "node:fs";
import { ReadStream, WriteStream } from "node:tty";
import { KeysteadError } from "../errors.ts";
import type { Output } from "./output.ts";

interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
  readonly close: () => void;
}

/**
 * Asks before something that can't be undone. Without a terminal, and for machines, `--yes` is the only answer.
 * @throws KeysteadError `CANCELLED` for no, `INVALID_ARGUMENT` when nobody can be asked
 */
export async function confirm(
  question: string,
  { yes, output }: { readonly yes: boolean | undefined; readonly output: Output },
): Promise<void> {
  if (yes === true) return;
  if (output.json || !process.stdin.isTTY || !process.stderr.isTTY) {
    throw new KeysteadError("INVALID_ARGUMENT", `this needs a confirmation (${question}) and there is no terminal to ask on; give --yes`);
  }
  const { confirm: ask } = await import("@clack/prompts");
  const answer = await ask({ message: question, initialValue: false, input: process.stdin, output: process.stderr });
  if (answer !== true) throw new KeysteadError("CANCELLED", "cancelled; nothing was changed");
}

/** How a passphrase is asked for. */
export interface PassphraseRequest {
  /** Name of the master key that comes from it. */
  readonly name: string;
  /** File to read it from instead, and the environment variables that may name it. */
  readonly file: string | undefined;
  readonly variables: readonly string[];
  /** A new passphrase is typed twice. */
  readonly isNew: boolean;
}

/**
 * Reads a passphrase from its file, or asks on the terminal, also while stdin and stdout carry data. Never from the command
 * line, which every user of the machine can see.
 * @throws KeysteadError `INSECURE_FILE` for a file that others may read, `KEK_FAILED` when there is neither file nor terminal,
 * `INVALID_ARGUMENT` when a new one was not typed twice, `CANCELLED`
 */
export async function readPassphrase({ name, file, variables, isNew }: PassphraseRequest): Promise<string> {
  if (file !== undefined) {
    const { readPassphraseFile } = await import("../index.ts");
    return readPassphraseFile(file);
  }
  const terminal = openTerminal();
  if (terminal === undefined) {
    throw new KeysteadError(
      "KEK_FAILED",
      `the master key ${name} comes from a passphrase and there is no terminal to ask on; put it into a file and name that in ${variables.join(" or ")}`,
    );
  }
  try {
    const first = await askPassphrase(terminal, `${isNew ? "New passphrase" : "Passphrase"} of the master key ${name}`);
    if (isNew && (await askPassphrase(terminal, "The same again")) !== first) {
      throw new KeysteadError("INVALID_ARGUMENT", "the two passphrases differ; start again");
    }
    return first;
  } finally {
    terminal.close();
  }
}

async function askPassphrase(terminal: Terminal, message: string): Promise<string> {
  const { isCancel, password } = await import("@clack/prompts");
  const answer = await password({ message, input: terminal.input, output: terminal.output, mask: "", clearOnError: true });
  if (isCancel(answer)) throw new KeysteadError("CANCELLED", "cancelled; nothing was changed");
  return answer;
}

/** The terminal of the person, wherever stdin and stdout lead. Undefined for services. */
function openTerminal(): Terminal | undefined {
  const { stdin, stderr } = process;
  if (stdin.isTTY && stderr.isTTY) return { input: stdin, output: stderr, close: () => stdin.pause() };
  try {
    const input = new ReadStream(openSync("/dev/tty", "r"));
    const output = new WriteStream(openSync("/dev/tty", "w"));
    return { input, output, close: () => [input, output].forEach((stream) => stream.destroy()) };
  } catch {
    return undefined;
  }
}
