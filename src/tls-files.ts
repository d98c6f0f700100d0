import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";
import { KeysteadError } from "./errors.ts";
import { readPrivateFile } from "./private-file.ts";

const mostKeyBytes = 64 * 1024;

/** Files of certificates and keys in PEM form. */
export interface TlsFiles {
  /** Certificates of the authorities that may vouch for the other side; those of Node when left out. */
  readonly ca?: string;
  /** Certificate and private key of this side. */
  readonly certificate?: string;
  readonly key?: string;
}

/** What the configuration calls the files, for messages. */
export type TlsFileNames = Readonly<Record<keyof TlsFiles, string>>;

/**
 * Reads certificates and key of a TLS connection. What Node would take in silence or fail with at each connection is said here.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for a file that can't be read or doesn't hold what it should, `INSECURE_FILE` for a key that
 * others may read
 */
export async function readTlsFiles(
  { ca, certificate, key }: TlsFiles,
  names: TlsFileNames,
): Promise<Pick<SecureContextOptions, "ca" | "cert" | "key">> {
  const authorities = ca === undefined ? undefined : await readCertificates(names.ca, ca);
  const own = certificate === undefined ? undefined : await readCertificates(names.certificate, certificate);
  const secret = key === undefined ? undefined : await readKey(names, key, own?.leaf);
  return {
    ...(authorities !== undefined && { ca: authorities.text }),
    ...(own !== undefined && { cert: own.text }),
    ...(secret !== undefined && { key: secret }),
  };
}

async function readCertificates(name: string, path: string): Promise<{ readonly text: string; readonly leaf: X509Certificate }> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw invalid(name, path, "can't be read: correct the path", cause);
  });
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    const [leaf] = blocks.map((block) => new X509Certificate(block));
    if (leaf !== undefined) return { text, leaf };
  } catch (cause) {
    throw invalid(name, path, "is damaged: write it anew", cause);
  }
  throw invalid(name, path, "holds no certificate: name a file in PEM form");
}

async function readKey(names: TlsFileNames, path: string, certificate: X509Certificate | undefined): Promise<Buffer> {
  const words = { what: `file of ${names.key}`, remedy: "correct the path", code: "INVALID_ARGUMENT" } as const;
  const bytes = await readPrivateFile(path, mostKeyBytes, words);
  if (bytes === undefined) throw invalid(names.key, path, "is too large for a private key: correct the path");
  let fits;
  try {
    fits = certificate?.checkPrivateKey(createPrivateKey(bytes)) ?? true;
  } catch (cause) {
    bytes.fill(0);
    throw invalid(names.key, path, "holds no private key that can be read: write it in PEM form, without a passphrase", cause);
  }
  if (fits) return bytes;
  bytes.fill(0);
  throw invalid(names.key, path, `is not the key of ${names.certificate}: name those that belong together`);
}

function invalid(name: string, path: string, problem: string, cause?: unknown): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `${name} ${path} ${problem}`, { cause });
}
