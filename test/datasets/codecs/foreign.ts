import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { Codec } from "../../../src/datasets/codec.ts";
import { Codecs } from "../../../src/datasets/codecs.ts";
import type { CodecConfig } from "../../../src/datasets/codecs/codec-types.ts";
import { Databases } from "../../../src/datasets/databases.ts";

/** A message as a foreign system makes it: its parts, by another implementation than the codecs use. */
export function sealForeign(
  algorithm: "aes-256-gcm" | "aes-192-gcm" | "aes-128-gcm" | "chacha20-poly1305",
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array | string,
  aad = "",
): { readonly nonce: Buffer; readonly ciphertext: Buffer; readonly tag: Buffer } {
  const cipher = (algorithm === "chacha20-poly1305" ? chacha20poly1305 : gcm)(key, nonce, Buffer.from(aad));
  const sealed = Buffer.from(cipher.encrypt(Buffer.from(plaintext)));
  return { nonce: Buffer.from(nonce), ciphertext: sealed.subarray(0, -16), tag: sealed.subarray(-16) };
}

/** A field as OpenSPP stores it: base64 of nonce, ciphertext, tag. */
export function sealOpenspp(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array | string, aad: string): string {
  const parts = sealForeign("aes-256-gcm", key, nonce, plaintext, aad);
  return Buffer.concat([parts.nonce, parts.ciphertext, parts.tag]).toString("base64");
}

/** A nonce by a number. */
export function nonceOf(number: number, length = 12): Buffer {
  const nonce = Buffer.alloc(length);
  nonce.writeUInt32BE(number, length - 4);
  return nonce;
}

/** Opens a codec as a configuration names it. */
export function openCodec(config: CodecConfig, databases: Readonly<Record<string, string>> = {}): Promise<Codec> {
  const sqlite = async () => new (await import("../../../src/datasets/sqlite/sqlite-source-provider.ts")).SqliteSourceProvider();
  return new Codecs({ foreign: config }, new Databases(databases, { sqlite })).open("foreign");
}

/** Writes a file that only its owner may read. */
export function privateFile(folder: string, name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, 0o600);
  return path;
}
