import { constants, fstatSync, write } from "node:fs";
import { chmod, mkdir, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { KeysteadError } from "../errors.ts";
import type { LineSink } from "./chain-writer.ts";
import type { LineGroup } from "./line-group.ts";

/** What a journal needs of an open file. */
export interface JournalFile {
  write(data: Uint8Array): Promise<{ readonly bytesWritten: number }>;
  /** What was written before is durable when this resolves. */
  datasync(): Promise<void>;
  /** What the system knows of the open file; looks at no disk. */
  stat(): { readonly nlink: number; readonly mode: number };
  close(): Promise<void>;
}

/** Creates the file of a journal; it must not exist yet. */
export type OpenJournalFile = (path: string) => Promise<JournalFile>;

/**
 * Linux makes each write of a file that is opened so as durable as an fdatasync after it would: one trip to the disk instead of two.
 * Elsewhere the flag is missing, or promises less.
 */
const syncingWrites = process.platform === "linux" ? constants.O_DSYNC : 0;

/** Creates a journal's file for appending, readable and writable by its owner only. */
export const openJournalFile: OpenJournalFile = async (path) => {
  const file = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | syncingWrites, 0o600);
  return {
    // By the callback: a file handle's own write costs as much again in checks and promises.
    write: (data) =>
      new Promise((resolve, reject) => {
        write(file.fd, data, (error, bytesWritten) => {
          if (error === null) resolve({ bytesWritten });
          else reject(error);
        });
      }),
    datasync: async () => {
      if (syncingWrites === 0) await file.datasync();
    },
    stat: () => fstatSync(file.fd),
    close: () => file.close(),
  };
};

const writerId = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const journalName = new RegExp(`^(${writerId})\\.jsonl$`);
const lockName = new RegExp(`^(${writerId})\\.lock$`);
const ownerWrites = 0o200;

/** Path of a writer's journal. */
export function journalPath(directory: string, writer: string): string {
  return join(directory, `${writer}.jsonl`);
}

/** Path of the lock that a journal's writer holds. */
export function lockPath(directory: string, writer: string): string {
  return join(directory, `${writer}.lock`);
}

/** The writer id in a journal's file name; undefined for other files. */
export function journalWriter(fileName: string): string | undefined {
  return journalName.exec(fileName)?.[1];
}

/** The writer id in a lock's file name; undefined for other files. */
export function lockWriter(fileName: string): string | undefined {
  return lockName.exec(fileName)?.[1];
}

/** True for what happens when another process removes a file while it is looked at. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Removes a file that may be gone already. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  }
}

/**
 * Ends a journal for its writer: should it live against all evidence, it answers none of the records that it adds from now on.
 * All that it did answer can be read after this.
 */
export async function sealJournal(path: string): Promise<void> {
  await chmod(path, 0o400);
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

  async append({ bytes }: LineGroup): Promise<undefined> {
    let data = bytes;
    while (data.length > 0) {
      const { bytesWritten } = await this.#file.write(data);
      if (bytesWritten === 0) throw new Error("the journal accepts no more bytes");
      data = data.subarray(bytesWritten);
    }
    await this.#file.datasync();
    // A removed or sealed file still takes writes, and nobody might ever read them.
    const { nlink, mode } = this.#file.stat();
    if (nlink === 0 || (mode & ownerWrites) === 0) throw new Error("the journal's file was removed, or taken over by another process");
  }
}
