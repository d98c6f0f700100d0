import { decodeBase64 } from "../../../crypto/base64.ts";
import { viewBytes } from "../../../crypto/text.ts";
import type { Cell } from "../../source.ts";
import { type ForeignMessage, foreignTagBytes } from "../foreign-aead.ts";

const nonceBytes = 12;

/** The ciphertext in a cell: base64 of nonce, ciphertext, tag. Undefined for what is not written so; never throws. */
export function readMessage(cell: Cell): ForeignMessage | undefined {
  // latin1 maps every byte that is no ASCII to a character that is not base64.
  return cell.type === "text" || cell.type === "blob" ? takeApart(decodeBase64(viewBytes(cell.bytes).toString("latin1"))) : undefined;
}

/** The parts of decoded bytes; undefined when they are too few. */
export function takeApart(bytes: Buffer | undefined): ForeignMessage | undefined {
  if (bytes === undefined || bytes.length < nonceBytes + foreignTagBytes) return undefined;
  const tag = bytes.length - foreignTagBytes;
  return { nonce: bytes.subarray(0, nonceBytes), ciphertext: bytes.subarray(nonceBytes, tag), tag: bytes.subarray(tag) };
}
