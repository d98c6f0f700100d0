import { link, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { KeysteadError } from "../errors.ts";
import { alreadyThere, systemCode, unwritable } from "./file-failures.ts";

/** How {@link writeWhole} writes. */
export interface WriteWholeOptions {
  /** Where it is written first; exists only while it is written. */
  readonly temporary: string;
  /** Replace a file that is there. */
  readonly replace: boolean;
  /** What to say when `temporary` is there already. */
  readonly busy: string;
}

/**
 * Writes a file that only its owner can read, whole and durably or not at all: under a temporary name, then moved to its place.
 * @throws KeysteadError `CONFLICT` when the file is there and not to be replaced, or `temporary` is; `INVALID_ARGUMENT` and
 * `STORE_FULL` when it can't be written; what the chunks throw
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  { temporary, replace, busy }: WriteWholeOptions,
): Promise<number> {
  const failed = (cause: unknown): never => {
    throw cause instanceof KeysteadError ? cause : unwritable(path, cause);
  };
  const file = await open(temporary, "wx", 0o600).catch((cause: unknown) => {
    if (systemCode(cause) === "EEXIST") throw new KeysteadError("CONFLICT", busy);
    return failed(cause);
  });
  try {
    let bytes = 0;
    try {
      for await (const chunk of chunks) {
        const buffer = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
        await file.writeFile(buffer).catch(failed);
        bytes += buffer.length;
      }
      await file.sync().catch(failed);
    } finally {
      await file.close().catch(failed);
    }
    await (replace ? rename(temporary, path) : place(temporary, path)).catch(failed);
    await syncFolder(dirname(path)).catch(failed);
    return bytes;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Moves without replacing: a link fails where the name is taken, even by a file that came a moment ago. */
async function place(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (systemCode(error) === "EEXIST") throw alreadyThere(path);
    // This file system has no links.
    const taken = await open(path, "wx", 0o600).catch((cause: unknown) => {
      throw systemCode(cause) === "EEXIST" ? alreadyThere(path) : cause;
    });
    await taken.close();
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

async function syncFolder(path: string): Promise<void> {
  // Windows can't open folders; its file systems keep names without it.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}
