import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { KeysteadError } from "../errors.ts";

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
 * @throws KeysteadError `CONFLICT` when the file is there and not to be replaced, or `temporary` is; errors of the system
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  { temporary, replace, busy }: WriteWholeOptions,
): Promise<number> {
  const file = await open(temporary, "wx", 0o600).catch((cause: unknown) => {
    if (errorCode(cause) === "EEXIST") throw new KeysteadError("CONFLICT", busy);
    throw cause;
  });
  try {
    const bytes = await writeAll(file, chunks).finally(() => file.close());
    if (replace) await rename(temporary, path);
    else await place(temporary, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function writeAll(file: FileHandle, chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) {
    const buffer = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    await file.writeFile(buffer);
    bytes += buffer.length;
  }
  await file.sync();
  return bytes;
}

/** Moves without replacing: a link fails where the name is taken, even by a file that came a moment ago. */
async function place(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (errorCode(error) === "EEXIST") throw alreadyThere(path);
    // This file system has no links.
    const taken = await open(path, "wx", 0o600).catch((cause: unknown) => {
      throw errorCode(cause) === "EEXIST" ? alreadyThere(path) : cause;
    });
    await taken.close();
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

/** The error for a file that would be overwritten. */
export function alreadyThere(path: string): KeysteadError {
  return new KeysteadError("CONFLICT", `${path} exists already and is left as it is; give --force to replace it`);
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

async function syncFolder(path: string): Promise<void> {
  // Windows can't open folders; its file systems keep names without it.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}
