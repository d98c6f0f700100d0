import { constants } from "node:fs";
import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { KeysteadError } from "./errors.ts";

/** How {@link writeWhole} writes. */
export interface WriteWholeOptions {
  /** Where it is written first; exists only while it is written. */
  readonly temporary: string;
  /** What to say when `temporary` is there already. */
  readonly busy: string;
  /** What to say when the file is there already; absent: it is replaced. */
  readonly taken?: string;
}

/**
 * Writes a file that only its owner can read, whole and durably or not at all: under a temporary name, then moved to its place.
 * @throws KeysteadError `CONFLICT` with `taken` or `busy`; errors of the system
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  { temporary, busy, taken }: WriteWholeOptions,
): Promise<number> {
  const file = await open(temporary, "wx", 0o600).catch((cause: unknown) => {
    if (errorCode(cause) === "EEXIST") throw new KeysteadError("CONFLICT", busy);
    throw cause;
  });
  try {
    const bytes = await writeAll(file, chunks).finally(() => file.close());
    if (taken === undefined) await rename(temporary, path);
    else await place(temporary, path, taken);
    await syncDirectory(dirname(path));
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
async function place(temporary: string, path: string, taken: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (errorCode(error) === "EEXIST") throw new KeysteadError("CONFLICT", taken);
    // This file system has no links.
    const reserved = await open(path, "wx", 0o600).catch((cause: unknown) => {
      throw errorCode(cause) === "EEXIST" ? new KeysteadError("CONFLICT", taken) : cause;
    });
    await reserved.close();
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Makes the names in a directory durable: a new or renamed file is found again after a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows can't open directories; its file systems keep names without it.
  if (process.platform === "win32") return;
  const directory = await open(path, constants.O_RDONLY);
  await directory.sync().finally(() => directory.close());
}
