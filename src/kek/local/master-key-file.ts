import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { assertArguments, having, text } from "../../arguments.ts";
import { decodeBase64url, encodeBase64url } from "../../crypto/base64url.ts";
import type { RandomSource } from "../../crypto/random.ts";
import { randomUuid } from "../../crypto/uuid.ts";
import { KeysteadError } from "../../errors.ts";
import { writeWhole } from "../../durable-file.ts";
import { readPrivateFile } from "../../private-file.ts";

const keyLength = 32;
// A line has at most 127 characters: what is longer is another file.
const maxFileLength = 256;
const line = /^keystead-master-v1:([A-Za-z0-9][A-Za-z0-9._~-]{0,63}):([A-Za-z0-9_-]{43})\n?$/;
const masterKeyName = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$/;

/** @throws KeysteadError `INVALID_ARGUMENT` unless the name has 1–64 of `A-Z a-z 0-9 . _ ~ -` and begins with a letter or digit */
export function assertMasterKeyName(name: string): void {
  if (masterKeyName.test(name)) return;
  throw new KeysteadError("INVALID_ARGUMENT", "a master key's name has 1 to 64 of A-Z a-z 0-9 . _ ~ - and begins with a letter or digit");
}

/**
 * Makes a master key file with a new random key: `keystead-master-v1:NAME:<base64url of 32 bytes>`, readable by its owner only.
 *
 * Resolves when file and directory entry are on disk; the file is there whole or not at all. An existing file is never overwritten:
 * it may be the only key to a store.
 * A directory that is missing is made for the owner only.
 *
 * @throws KeysteadError `CONFLICT` when the file exists, `INVALID_ARGUMENT` for a bad name, `KEK_FAILED` when it can't be written
 */
export async function createMasterKeyFile(path: string, name: string, random: RandomSource): Promise<void> {
  assertArguments({ path, name, random }, { path: text, name: text, random: having("a random source", "bytes") });
  assertMasterKeyName(name);
  const failed = (cause: unknown): KeysteadError =>
    new KeysteadError("KEK_FAILED", `the master key file ${path} can't be written; see the cause`, { cause });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw failed(cause);
  });
  const key = random.bytes(keyLength);
  try {
    // A name that no other run takes: what a killed one left is not in the way.
    const temporary = `${path}.${randomUuid(random)}.new`;
    const busy = `${temporary} exists already; remove it`;
    const taken = `${path} exists already and is left as it is; choose another path`;
    await writeWhole(path, [`keystead-master-v1:${name}:${encodeBase64url(key)}\n`], { temporary, busy, taken, failed });
  } finally {
    key.fill(0);
  }
}

/**
 * Reads the 32 bytes of a master key. The caller overwrites them after use.
 *
 * @throws KeysteadError `INSECURE_FILE` when group or others may read or write it, or it is no regular file;
 * `WRONG_MASTER_KEY` when it holds the key of another name; `KEK_FAILED` when it can't be read or is no master key file
 */
export async function readMasterKeyFile(path: string, name: string): Promise<Buffer> {
  const remedy =
    "give the right path or restore the file from its copy: a new one, by `keystead init` or `keystead kek add`, opens nothing that is there";
  const bytes = await readPrivateFile(path, maxFileLength, { what: "master key file", remedy, code: "KEK_FAILED" });
  const [, foundName, encoded] = line.exec(bytes?.toString("latin1") ?? "") ?? [];
  bytes?.fill(0);
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
