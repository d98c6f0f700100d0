import { constants } from "node:fs";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { decodeBase64url, encodeBase64url } from "../../crypto/base64url.ts";
import type { RandomSource } from "../../crypto/random.ts";
import { KeysteadError } from "../../errors.ts";
import { syncDirectory } from "../../durable-file.ts";

const keyLength = 32;
// A line has at most 127 characters: what is longer is another file.
const maxFileLength = 256;
const line = /^keystead-master-v1:([A-Za-z0-9][A-Za-z0-9._~-]{0,63}):([A-Za-z0-9_-]{43})\n?$/;
const masterKeyName = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$/;
const othersMask = 0o077;

/** @throws KeysteadError `INVALID_ARGUMENT` unless the name has 1–64 of `A-Z a-z 0-9 . _ ~ -` and begins with a letter or digit */
export function assertMasterKeyName(name: string): void {
  if (masterKeyName.test(name)) return;
  throw new KeysteadError("INVALID_ARGUMENT", "a master key's name has 1 to 64 of A-Z a-z 0-9 . _ ~ - and begins with a letter or digit");
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/**
 * Makes a master key file with a new random key: `keystead-master-v1:NAME:<base64url of 32 bytes>`, readable by its owner only.
 *
 * Resolves when file and directory entry are on disk. An existing file is never overwritten: it may be the only key to a store.
 * A directory that is missing is made for the owner only.
 *
 * @throws KeysteadError `CONFLICT` when the file exists, `INVALID_ARGUMENT` for a bad name, `KEK_FAILED` when it can't be written
 */
export async function createMasterKeyFile(path: string, name: string, random: RandomSource): Promise<void> {
  assertMasterKeyName(name);
  const failed = (cause: unknown): KeysteadError =>
    new KeysteadError("KEK_FAILED", `the master key file ${path} can't be written; see the cause`, { cause });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw failed(cause);
  });
  const handle = await open(path, "wx", 0o600).catch((cause: unknown) => {
    if (errorCode(cause) !== "EEXIST") throw failed(cause);
    throw new KeysteadError("CONFLICT", `${path} exists already and is left as it is; choose another path`, { cause });
  });
  const key = random.bytes(keyLength);
  try {
    await handle.writeFile(`keystead-master-v1:${name}:${encodeBase64url(key)}\n`);
    await handle.sync();
    await handle.close();
    await syncDirectory(dirname(path));
  } catch (cause) {
    await handle.close().catch(() => undefined);
    await unlink(path).catch(() => undefined);
    throw failed(cause);
  } finally {
    key.fill(0);
  }
}

async function readPrivateFile(path: string): Promise<string> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: opening a named pipe must not wait for its writer. Links are followed; what counts is the file that was opened.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const missing = errorCode(cause) === "ENOENT";
    const remedy = missing ? "does not exist; make it with `keystead init`, or give the right path" : "can't be read; see the cause";
    throw new KeysteadError("KEK_FAILED", `the master key file ${path} ${remedy}`, { cause });
  }
  const buffer = Buffer.alloc(maxFileLength + 1);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new KeysteadError("INSECURE_FILE", `the master key ${path} is not a regular file; keep it in one`);
    if (process.platform !== "win32" && (stats.mode & othersMask) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
      throw new KeysteadError("INSECURE_FILE", `the master key file ${path} is open to other users (mode ${mode}); run: chmod 600 ${path}`);
    }
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return bytesRead > maxFileLength ? "" : buffer.toString("latin1", 0, bytesRead);
  } catch (cause) {
    if (cause instanceof KeysteadError) throw cause;
    throw new KeysteadError("KEK_FAILED", `the master key file ${path} can't be read; see the cause`, { cause });
  } finally {
    buffer.fill(0);
    await handle.close();
  }
}

/**
 * Reads the 32 bytes of a master key. The caller overwrites them after use.
 *
 * @throws KeysteadError `INSECURE_FILE` when group or others may read or write it, or it is no regular file;
 * `WRONG_MASTER_KEY` when it holds the key of another name; `KEK_FAILED` when it can't be read or is no master key file
 */
export async function readMasterKeyFile(path: string, name: string): Promise<Buffer> {
  const [, foundName, encoded] = line.exec(await readPrivateFile(path)) ?? [];
  const key = encoded === undefined ? undefined : decodeBase64url(encoded);
  if (foundName === undefined || key === undefined) {
    throw new KeysteadError(
      "KEK_FAILED",
      `${path} is not a master key file: it must hold one line keystead-master-v1:NAME:<base64url of 32 bytes>; restore it from its copy`,
    );
  }
  if (foundName !== name) {
    key.fill(0);
    throw new KeysteadError("WRONG_MASTER_KEY", `${path} holds the master key ${foundName}, not ${name}; give the path of ${name}`);
  }
  return key;
}
