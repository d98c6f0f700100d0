import { KeysteadError } from "../../errors.ts";
import { readPrivateFile } from "../../private-file.ts";

// A passphrase has at most 4,096 bytes; behind it stands a line break.
const maxFileLength = 4_098;

/**
 * Reads a passphrase from a file that only its owner may read: UTF-8 text, without the line break at its end.
 *
 * @throws KeysteadError `INSECURE_FILE` as for master key files; `KEK_FAILED` when it can't be read, is too long or not UTF-8
 * @example
 * const passphrase = await readPassphraseFile("/run/secrets/keystead");
 * await using keystead = await openKeystead({ store: "sqlite:./keystead.db", masterKeys: { main: { passphrase } } });
 */
export async function readPassphraseFile(path: string): Promise<string> {
  const words = { what: "passphrase file", remedy: "write it, or give the right path", code: "KEK_FAILED" } as const;
  const bytes = await readPrivateFile(path, maxFileLength, words);
  if (bytes === undefined) throw new KeysteadError("KEK_FAILED", `the passphrase file ${path} has more than 4096 bytes; write it anew`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw new KeysteadError("KEK_FAILED", `the passphrase file ${path} is not UTF-8 text; write it anew`);
  } finally {
    bytes.fill(0);
  }
}
