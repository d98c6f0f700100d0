import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Option } from "commander";
import { KeysteadError } from "../errors.ts";

/** `--pinned-key FILE`, which {@link readPublicKeys} reads. */
export function pinnedKeyOption(): Option {
  return new Option(
    "--pinned-key <file>",
    "public keys of the only signers that may have signed, kept elsewhere than the store: what `keystead audit public-key` prints, or DER",
  );
}

/** The public keys of a file: any number in PEM, or one in DER. @throws KeysteadError `INVALID_ARGUMENT` */
export async function readPublicKeys(file: string): Promise<Uint8Array[]> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the public key ${file} can't be read`, { cause });
  });
  const blocks = bytes.toString("latin1").matchAll(/-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/g);
  const keys = Array.from(blocks, ([, base64 = ""]) => Buffer.from(base64, "base64"));
  return keys.length === 0 ? [bytes] : keys;
}

/** A public key (SPKI DER) in PEM. */
export function formatPublicKey(der: Uint8Array): string {
  return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" })
    .export({ format: "pem", type: "spki" })
    .toString();
}
