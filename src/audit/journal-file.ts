import { constants } from "node:fs";
import { mkdir, open, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { KeysteadError } from "../errors.ts";
import type { ChainLine, LineSink } from "./chain-writer.ts";

/** What a journal needs of an open file; a `FileHandle` has it. */
export interface JournalFile {
  write(data: Uint8Array): Promise<{ readonly bytesWritten: number }>;
  datasync(): Promise<void>;
  stat(): Promise<{ readonly nlink: number }>;
  close(): Promise<void>;
}

/** Creates the file of a journal; it must not exist yet. */
export type OpenJournalFile = (path: string) => Promise<JournalFile>;

/** Creates a journal's file for appending, readable and writable by its owner only. */
export const openJournalFile: OpenJournalFile = (path) =>
  open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, 0o600);

const extension = ".jsonl";
const journalName = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl$/;

/** Path of a writer's journal. */
export function journalPath(directory: string, writer: string): string {
  return join(directory, `${writer}${extension}`);
}

/** The writer id in a journal's file name; undefined for other files. */
export function journalWriter(fileName: string): string | undefined {
  return journalName.exec(fileName)?.[1];
}

/**
 * Makes the directory of the journals for its owner only, when it is missing.
 * @throws KeysteadError `INSECURE_FILE` when group or others may write to it: they could remove journals
 */
export async function prepareJournalDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (process.platform === "win32") return;
  const { mode } = await stat(directory);
  if ((mode & 0o022) !== 0) {
    throw new KeysteadError("INSECURE_FILE", `other users may write to the audit directory ${directory}; run: chmod 700 ${directory}`);
  }
}

/** Appends lines to an open file and makes them durable. */
export class JournalFileSink implements LineSink {
  readonly #file: JournalFile;

  constructor(file: JournalFile) {
    this.#file = file;
  }

  async append(lines: readonly ChainLine[]): Promise<void> {
    let data = Buffer.concat(lines.flatMap(({ bytes }) => [bytes, Buffer.from("\n")]));
    while (data.length > 0) {
      const { bytesWritten } = await this.#file.write(data);
      if (bytesWritten === 0) throw new Error("the journal accepts no more bytes");
      data = data.subarray(bytesWritten);
    }
    await this.#file.datasync();
    // A removed file still takes writes, and nobody would ever read them.
    if ((await this.#file.stat()).nlink === 0) throw new Error("the journal's file was removed");
  }
}
