import { parseBinary, type ParsedCiphertext, parseText } from "../crypto/ciphertext.ts";
import { parseStream } from "../crypto/stream.ts";
import { KeysteadError } from "../errors.ts";

/** Takes a ciphertext in text or binary form apart. @throws KeysteadError `MALFORMED_CIPHERTEXT` for streams and for anything else */
export function parseSealed(sealed: string | Uint8Array): ParsedCiphertext {
  const parsed = typeof sealed === "string" ? parseText(sealed) : parseBinary(sealed);
  if (parsed !== undefined) return parsed;
  throw new KeysteadError(
    "MALFORMED_CIPHERTEXT",
    typeof sealed !== "string" && parseStream(sealed) !== undefined
      ? "this is a stream, not a single value; open it with decryptStream()"
      : "this is not Keystead ciphertext of format 1; check that it was stored whole and unchanged",
  );
}

/** As {@link parseSealed}, with the error as what it gives: for items of a batch, which fail alone. */
export function tryParseSealed(sealed: string | Uint8Array): ParsedCiphertext | KeysteadError {
  try {
    return parseSealed(sealed);
  } catch (error) {
    if (error instanceof KeysteadError) return error;
    throw error;
  }
}
