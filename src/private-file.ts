import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import process from "node:process";
import { type ErrorCode, KeysteadError } from "./errors.ts";

const othersMask = 0o077;

/** What a file with a secret is, for messages. */
export interface PrivateFileWords {
  /** `master key file`. */
  readonly what: string;
  /** How it is made when it is missing. */
  readonly remedy: string;
  /** Code of the error when it can't be read. */
  readonly code: ErrorCode;
}

/**
 * Reads a small file with a secret that nobody but its owner may read or write. The caller overwrites the bytes after use.
 *
 * @returns `undefined` when it has more than `maxLength` bytes
 * @throws KeysteadError `INSECURE_FILE` when group or others may read or write it, or it is no regular file; the given code when
 * it can't be read
 */
export async function readPrivateFile(
  path: string,
  maxLength: number,
  { what, remedy, code }: PrivateFileWords,
): Promise<Buffer | undefined> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: opening a named pipe must not wait for its writer. Links are followed; what counts is the file that was opened.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    const problem = missing ? `does not exist; ${remedy}` : "can't be read; see the cause";
    throw new KeysteadError(code, `the ${what} ${path} ${problem}`, { cause });
  }
  const buffer = Buffer.alloc(maxLength + 1);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new KeysteadError("INSECURE_FILE", `the ${what} ${path} is not a regular file; keep the secret in one`);
    if (process.platform !== "win32" && (stats.mode & othersMask) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
      throw new KeysteadError("INSECURE_FILE", `the ${what} ${path} is open to other users (mode ${mode}); run: chmod 600 ${path}`);
    }
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return bytesRead > maxLength ? undefined : Buffer.from(buffer.subarray(0, bytesRead));
  } catch (cause) {
    if (cause instanceof KeysteadError) throw cause;
    throw new KeysteadError(code, `the ${what} ${path} can't be read; see the cause`, { cause });
  } finally {
    buffer.fill(0);
    await handle.close();
  }
}
