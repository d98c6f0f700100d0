import { hash } from "node:crypto";
import { encodeBase64url } from "../../crypto/base64url.ts";
import type { RandomSource } from "../../crypto/random.ts";
import { newShortId } from "./short-id.ts";

/** What every token of Keystead begins with: secret scanners find it by that. */
const prefix = "kst_";
const pattern = /^kst_([a-z2-7]{16})_[A-Za-z0-9_-]{43}$/;

/** A token as its holder has it. The text is shown once and not kept. */
interface NewToken {
  readonly id: string;
  readonly token: string;
}

/** A new token: 80 bits of id, 256 bits of secret. */
export function newToken(random: RandomSource): NewToken {
  const id = newShortId(random);
  const secret = random.bytes(32);
  const token = `${prefix}${id}_${encodeBase64url(secret)}`;
  secret.fill(0);
  return { id, token };
}

/** True for what means to be a token of Keystead, well-formed or not. */
export function isTokenText(text: string): boolean {
  return text.startsWith(prefix);
}

/** The id in a well-formed token. */
export function tokenId(token: string): string | undefined {
  return pattern.exec(token)?.[1];
}

/** SHA-256 of a token: what is stored. Its secret is random, so nothing slower is needed. */
export function hashToken(token: string): Buffer {
  // By way of text: Node makes a buffer of a hash in twice the time.
  return Buffer.from(hash("sha256", token, "hex"), "hex");
}
