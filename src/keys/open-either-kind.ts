import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { isKeysteadError } from "../errors.ts";
import type { KeyHandle } from "./key-handle.ts";

/** Opens what `encrypt` made, or `encryptValue`. The kind is authenticated: the one under which it opens is its own. */
export function openEitherKind(
  key: KeyHandle,
  parsed: ParsedCiphertext,
  context: Context | undefined,
): { readonly kind: "value" | "typed"; readonly plaintext: Buffer } {
  try {
    return { kind: "value", plaintext: key.openBytes("value", parsed, context) };
  } catch (error) {
    if (!isKeysteadError(error, "DECRYPTION_FAILED")) throw error;
    return { kind: "typed", plaintext: key.openBytes("typed", parsed, context) };
  }
}
