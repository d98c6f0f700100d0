import type { Command } from "commander";
import type { Clock } from "../index.ts";
import { unwritable } from "./file-failures.ts";
import { globalOptions } from "./options.ts";
import { Progress, type ProgressSubject } from "./progress.ts";

/** Where a command writes: data to stdout, everything else to stderr. */
export class Output {
  /** One JSON value on stdout, nothing on stderr but an error. */
  readonly json: boolean;
  readonly #progress: boolean;

  constructor(options: { readonly json?: boolean; readonly progress: boolean }) {
    this.json = options.json === true;
    this.#progress = options.progress && !this.json;
  }

  /** Writes the result of the command: `value` as JSON, or `text` for people, which ends with a newline unless it is empty. */
  async result(value: unknown, text: () => string): Promise<void> {
    await this.data(this.#written(value, text, process.stdout.isTTY));
  }

  /** Writes what {@link result} would to stderr, in one line as JSON: for a command whose stdout belongs to something else. */
  async announce(value: unknown, text: () => string): Promise<void> {
    process.stderr.write(this.#written(value, text, false));
    await Promise.resolve();
  }

  #written(value: unknown, text: () => string, spread: boolean): string {
    const written = this.json ? JSON.stringify(value, undefined, spread ? 2 : 0) : text();
    return written === "" || written.endsWith("\n") ? written : `${written}\n`;
  }

  /** Writes to stdout; resolves when it is written. @throws KeysteadError `STORE_FULL`, `INVALID_ARGUMENT` */
  data(chunk: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      process.stdout.write(chunk, (error) => {
        if (error instanceof Error) reject(unwritable("stdout", error));
        else resolve();
      });
    });
  }

  /** Tells people something beside the result. */
  note(text: string): void {
    if (!this.json) process.stderr.write(`${text}\n`);
  }

  /** Shows how far something is: a bar on a terminal, a line every few seconds elsewhere, nothing for machines. */
  progress(subject: ProgressSubject, clock: Clock): Progress {
    const mode = !this.#progress ? "silent" : process.stderr.isTTY ? "bar" : "lines";
    return new Progress(subject, { clock, mode, write: (text) => process.stderr.write(text), width: process.stderr.columns });
  }
}

/** The output of a command, as its global options want it. */
export function outputOf(command: Command): Output {
  return new Output(globalOptions(command));
}
