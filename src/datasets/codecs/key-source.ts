import { types } from "node:util";
import { z } from "zod";
import { decodeBase64 } from "../../crypto/base64.ts";
import { decodeHex } from "../../crypto/hex.ts";
import { SecretBytes } from "../../crypto/secret-bytes.ts";
import { KeysteadError } from "../../errors.ts";
import { readPrivateFile } from "../../private-file.ts";

const longestFile = 1024;

/** How the bytes of a key stand in its file. Behind base64 and hex there may be a line break. */
const encodings = {
  raw: (bytes: Buffer) => bytes,
  base64: (bytes: Buffer) => decodeBase64(line(bytes)),
  hex: (bytes: Buffer) => decodeHex(line(bytes)),
} as const;

type Encoding = keyof typeof encodings;

/** Where the key of a codec comes from: a file that only its owner may read, or bytes that the program keeps elsewhere. */
export type KeySource = { readonly file: string; readonly encoding: Encoding } | { readonly bytes: SecretBytes };

/** {@link KeySource} as a caller writes it. */
export type KeySourceInput = { readonly file: string; readonly encoding?: Encoding | undefined } | { readonly bytes: Uint8Array };

/** Options of a key. @param usual the encoding that need not be named */
export function keySource(usual: Encoding): z.ZodType<KeySource, KeySourceInput> {
  return z.union(
    [
      z.strictObject({ file: z.string().min(1), encoding: z.enum(["raw", "base64", "hex"]).default(usual) }),
      z.strictObject({ bytes: z.custom<Uint8Array>(types.isUint8Array).transform((bytes) => new SecretBytes(bytes)) }),
    ],
    { error: 'must be { "file": PATH } or, in a program, { bytes }' },
  );
}

/** Names a key in messages. */
export interface KeyWords {
  /** Name of the codec in the local configuration. */
  readonly codec: string;
  /** `key 1`. */
  readonly what: string;
}

/**
 * The key of a source; the caller wipes it.
 * @throws KeysteadError `INVALID_ARGUMENT` when it can't be read or has another length, `INSECURE_FILE`
 */
export async function loadKey(source: KeySource, length: number, words: KeyWords): Promise<SecretBytes> {
  if ("bytes" in source) return source.bytes.use((bytes) => checked(bytes, length, words));
  const { file, encoding } = source;
  const content = await readSecretFile(file, longestFile, words);
  const bytes = encodings[encoding](content);
  try {
    if (bytes !== undefined) return checked(bytes, length, words);
    throw invalid(words, `${file} is not ${encoding}; correct it, or its encoding in the configuration`);
  } finally {
    content.fill(0);
    bytes?.fill(0);
  }
}

/** The bytes of a small file that only its owner may read; the caller overwrites them. @throws as {@link loadKey} */
export async function readSecretFile(file: string, longest: number, words: KeyWords): Promise<Buffer> {
  const remedy = `correct its path in codec ${words.codec} of the configuration`;
  const content = await readPrivateFile(file, longest, { what: "file", remedy, code: "INVALID_ARGUMENT" });
  if (content !== undefined) return content;
  throw invalid(words, `${file} has more than ${String(longest)} bytes; correct its path in the configuration`);
}

function checked(bytes: Uint8Array, length: number, words: KeyWords): SecretBytes {
  if (bytes.length === length) return new SecretBytes(bytes);
  throw invalid(words, `it must have ${String(length)} bytes, not ${String(bytes.length)}; give the right one, or say its encoding`);
}

function invalid({ codec, what }: KeyWords, problem: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `codec ${codec}, ${what}: ${problem}`);
}

function line(bytes: Buffer): string {
  return bytes.toString("latin1").replace(/\r?\n$/, "");
}
