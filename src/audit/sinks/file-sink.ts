import { constants, fstatSync, ftruncateSync, statSync } from "node:fs";
import { type FileHandle, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, syncDirectory } from "../../durable-file.ts";
import { KeysteadError } from "../../errors.ts";
import { formatLine, writerLine } from "../export/lines.ts";
import { type ChainPosition, startChain } from "../hash-chain.ts";
import { isMissingFile } from "../journal-file.ts";
import type { LineGroup } from "../line-group.ts";
import { type AuditSink, type AuditSinkConfig, defaultMaxBytes } from "./audit-sink.ts";

const newline = Buffer.from("\n");
const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;

/** Writers whose position is remembered: those of journals that this process ends and begins. */
const mostWriters = 16;

/** Files that lines are written to, one after the other, when each is removed meanwhile. */
const mostAttempts = 5;

/**
 * A file of JSON lines that only its owner can read: the records as the journal has them. Each file begins with a line that names the
 * writer, and the count and head that its chain goes on from, so that a set of files can be verified together.
 *
 * When a file grew long it is renamed to `<path>.<number>`, counting up, and a new one is begun. Several processes may write to the same
 * path: each line names its writer, and whoever finds the file long moves it.
 */
export class FileSink implements AuditSink {
  readonly name: string;
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #keep: number;
  #file: FileHandle | undefined;
  /** Chains as far as this file has them. */
  readonly #positions = new Map<string, ChainPosition>();
  /** Writers that the file names already. */
  readonly #named = new Set<string>();

  constructor({ path, maxBytes = defaultMaxBytes, keep = Number.POSITIVE_INFINITY }: Extract<AuditSinkConfig, { readonly type: "file" }>) {
    this.name = `file:${path}`;
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#keep = keep;
  }

  /** @throws KeysteadError `INSECURE_FILE` when others may read or write the file */
  async open(): Promise<void> {
    await this.#open();
  }

  async append(writer: string, { last, bytes, head }: LineGroup): Promise<void> {
    const position = this.#positions.get(writer) ?? startChain(writer);
    if (last <= position.count) return;
    // A file that was removed still takes writes: another process may have moved it, and found it one too many.
    for (let attempt = 1; !(await this.#isWritten(position, bytes)); attempt++)
      if (attempt === mostAttempts) throw new Error("the file was removed each time that it was written");
    this.#positions.set(writer, { writer, count: last, head: Buffer.from(head, "hex") });
    for (const known of this.#positions.keys()) if (this.#positions.size > mostWriters) this.#positions.delete(known);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Makes lines durable; false when they went into a file that is gone, or went with what another process took back. */
  async #isWritten(position: ChainPosition, bytes: Buffer): Promise<boolean> {
    const file = await this.#fileFor(bytes.length);
    const end = await this.#write(file, position, bytes);
    const { nlink, size } = fstatSync(file.fd);
    if (size >= end) this.#named.add(position.writer);
    return nlink > 0 && size >= end;
  }

  /** @returns how long the file must be now at least */
  async #write(file: FileHandle, position: ChainPosition, bytes: Buffer): Promise<number> {
    const { writer } = position;
    const before = fstatSync(file.fd).size;
    let data = this.#named.has(writer) ? bytes : Buffer.concat([formatLine(writerLine(position)), newline, bytes]);
    if (await endsTorn(file)) data = Buffer.concat([newline, data]);
    this.#named.delete(writer);
    let end = before;
    try {
      while (end < before + data.length) {
        const { bytesWritten } = await file.write(data.subarray(end - before));
        if (bytesWritten === 0) throw new Error("the file accepts no more bytes");
        end += bytesWritten;
        // Behind lines of another process the rest of a line would be no line.
        if (end < before + data.length && fstatSync(file.fd).size !== end) throw new Error("another process wrote between its lines");
      }
      await file.datasync();
    } catch (error) {
      takeBack(file, before, end);
      throw error;
    }
    return end;
  }

  /** The open file, a new one when the old one was moved or would grow too long. */
  async #fileFor(length: number): Promise<FileHandle> {
    const file = this.#file ?? (await this.#open());
    if (!this.#isInPlace(file)) {
      await this.close();
      return await this.#open();
    }
    const { size } = fstatSync(file.fd);
    if (size === 0 || size + length <= this.#maxBytes) return file;
    await this.#rotate(file);
    await this.close();
    return await this.#open();
  }

  async #open(): Promise<FileHandle> {
    this.#named.clear();
    const file = await open(this.#path, flags, 0o600);
    this.#file = file;
    const { mode } = fstatSync(file.fd);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      await this.close();
      throw new KeysteadError("INSECURE_FILE", `other users may read or write the audit file ${this.#path}; run: chmod 600 ${this.#path}`);
    }
    await syncDirectory(dirname(this.#path));
    return file;
  }

  /** False when the path names another file by now, or none: another process went on in a new one. */
  #isInPlace(file: FileHandle): boolean {
    try {
      const [named, own] = [statSync(this.#path), fstatSync(file.fd)];
      return named.ino === own.ino && named.dev === own.dev;
    } catch (error) {
      if (isMissingFile(error)) return false;
      throw error;
    }
  }

  /** Moves the file away under the next number, and removes what is not to be kept. */
  async #rotate(file: FileHandle): Promise<void> {
    const target = await this.#claimNext();
    try {
      // While the number was taken another process may have moved the file: the one that it went on in belongs behind that.
      if (this.#isInPlace(file)) await rename(this.#path, target);
      else await rm(target, { force: true });
    } catch (error) {
      await rm(target, { force: true });
      // Another process was faster.
      if (!isMissingFile(error)) throw error;
    }
    for (const number of await this.#superfluous()) await rm(this.#rotatedPath(number), { force: true });
    await syncDirectory(dirname(this.#path));
  }

  /**
   * Files that are not to be kept. An empty one counts for none, and stays: another process is about to move a file there, or was killed before it
   * did, and in the moment of its removal it may be a file that was just moved there.
   */
  async #superfluous(): Promise<number[]> {
    const full = (await this.#rotated()).filter((number) => sizeOf(this.#rotatedPath(number)) > 0);
    return full.slice(0, Math.max(0, full.length - this.#keep));
  }

  #rotatedPath(number: number): string {
    return `${this.#path}.${String(number).padStart(6, "0")}`;
  }

  /** The next name, taken by an empty file: two processes that rotate at once must not both move a file there. */
  async #claimNext(): Promise<string> {
    for (;;) {
      const target = this.#rotatedPath(((await this.#rotated()).at(-1) ?? 0) + 1);
      try {
        await (await open(target, "wx", 0o600)).close();
        return target;
      } catch (error) {
        if (errorCode(error) !== "EEXIST") throw error;
      }
    }
  }

  async #rotated(): Promise<number[]> {
    const prefix = `${basename(this.#path)}.`;
    const names = await readdir(dirname(join(this.#path)));
    return names
      .filter((name) => name.startsWith(prefix) && /^\d{6,15}$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((one, other) => one - other);
  }
}

/** True when the last line was not written whole: by a process that was killed, or on a full disk. */
async function endsTorn(file: FileHandle): Promise<boolean> {
  const { size } = fstatSync(file.fd);
  if (size === 0) return false;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && !buffer.equals(newline);
}

/**
 * Takes back what was not written whole, unless something stands behind it. Nothing of this process comes between the look and the cut; another
 * one that wrote there just then looks after it wrote, and writes again what it misses. What can't be taken back stays: verification knows
 * what it may look like.
 */
function takeBack(file: FileHandle, before: number, end: number): void {
  try {
    if (end > before && fstatSync(file.fd).size === end) ftruncateSync(file.fd, before);
  } catch {
    // The failure that led here says what is wrong.
  }
}

/** Bytes of a file; 0 when another process has removed it. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
