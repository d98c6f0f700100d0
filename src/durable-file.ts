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
  /** Makes the error of what the system says; absent: as the system says it. */
  readonly failed?: (cause: unknown) => KeysteadError;
}

/**
 * Writes a file that only its owner can read, whole and durably or not at all: under a temporary name, then moved to its place.
 * @throws KeysteadError `CONFLICT` with `taken` or `busy`; errors of the system, as `failed` makes them; what the chunks throw
 */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  { temporary, busy, taken, failed }: WriteWholeOptions,
): Promise<number> {
  const fail = (cause: unknown): never => {
    throw failed === undefined || cause instanceof KeysteadError ? cause : failed(cause);
  };
  const file = await open(temporary, "wx", 0o600).catch((cause: unknown) => {
    if (errorCode(cause) === "EEXIST") throw new KeysteadError("CONFLICT", busy);
    return fail(cause);
  });
  try {
    const bytes = await writeAll(file, chunks, fail).finally(() => file.close());
    await (taken === undefined ? rename(temporary, path) : place(temporary, path, taken)).catch(fail);
    await syncDirectory(dirname(path)).catch(fail);
    return bytes;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function writeAll(
  file: FileHandle,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  fail: (cause: unknown) => never,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) {
    const buffer = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    await file.writeFile(buffer).catch(fail);
    bytes += buffer.length;
  }
  await file.sync().catch(fail);
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

/** The code that the system gives an error, `EEXIST`; undefined for others. */
export function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Makes the names in a directory durable: a new or renamed file is found again after a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows can't open directories; its file systems keep names without it.
  if (process.platform === "win32") return;
  const directory = await open(path, constants.O_RDONLY);
  await directory.sync().finally(() => directory.close());
}
