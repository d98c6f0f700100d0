import { decodeBase64 } from "../../../crypto/base64.ts";
import { decodeBase64url } from "../../../crypto/base64url.ts";
import { decodeHex } from "../../../crypto/hex.ts";
import { viewBytes } from "../../../crypto/text.ts";
import type { Cell } from "../../source.ts";
import { type ForeignMessage, foreignTagBytes } from "../foreign-aead.ts";
import type { PlainAeadOptions } from "./options.ts";

type Part = PlainAeadOptions["layout"][number];

/** Strict: each has one text for the same bytes. */
const decoders: Readonly<Record<Exclude<PlainAeadOptions["encoding"], "raw">, (text: string) => Buffer | undefined>> = {
  base64: decodeBase64,
  base64url: decodeBase64url,
  hex: decodeHex,
};

/** The ciphertext in a cell, taken apart; undefined for what is not written as the options say. Never throws. */
export function readMessage(cell: Cell, options: PlainAeadOptions): ForeignMessage | undefined {
  if (cell.type !== "blob" && (cell.type !== "text" || options.encoding === "raw")) return undefined;
  const bytes = viewBytes(cell.bytes);
  const prefix = Buffer.from(options.prefix);
  if (!bytes.subarray(0, prefix.length).equals(prefix)) return undefined;
  const parts = readParts(bytes.subarray(prefix.length), options);
  const { nonce, ciphertext, tag } = parts ?? {};
  if (nonce === undefined || ciphertext === undefined || tag === undefined) return undefined;
  return nonce.length === options.nonceBytes && tag.length === foreignTagBytes ? { nonce, ciphertext, tag } : undefined;
}

function readParts(body: Buffer, { encoding, layout, nonceBytes, separator }: PlainAeadOptions): Partial<Record<Part, Buffer>> | undefined {
  if (encoding === "raw") return cutParts(body, layout, nonceBytes);
  const decode = decoders[encoding];
  // latin1 maps every byte that is no ASCII to a character that no decoder takes.
  const text = body.toString("latin1");
  if (separator === undefined) {
    const decoded = decode(text);
    return decoded === undefined ? undefined : cutParts(decoded, layout, nonceBytes);
  }
  const texts = text.split(Buffer.from(separator).toString("latin1"), layout.length + 1);
  if (texts.length !== layout.length) return undefined;
  const parts: Partial<Record<Part, Buffer>> = {};
  for (const [position, part] of layout.entries()) {
    const decoded = decode(texts[position] ?? "");
    if (decoded === undefined) return undefined;
    parts[part] = decoded;
  }
  return parts;
}

function cutParts(bytes: Buffer, layout: readonly Part[], nonceBytes: number): Partial<Record<Part, Buffer>> | undefined {
  const ciphertext = bytes.length - nonceBytes - foreignTagBytes;
  if (ciphertext < 0) return undefined;
  const lengths: Readonly<Record<Part, number>> = { nonce: nonceBytes, ciphertext, tag: foreignTagBytes };
  const parts: Partial<Record<Part, Buffer>> = {};
  let offset = 0;
  for (const part of layout) {
    parts[part] = bytes.subarray(offset, offset + lengths[part]);
    offset += lengths[part];
  }
  return parts;
}
