import { createCipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { AeadAlgorithm } from "./algorithm.ts";
import { type DeriveKey, DerivedKeyAead } from "./derived-key-aead.ts";
import { importRawKey, rawKeyBytes } from "./raw-key.ts";

const blockBytes = 16;
const noCommitment = new Uint8Array(0);

/**
 * XAES-256-GCM (C2SP): AES-256-GCM with a 192-bit nonce, so that random nonces never run out.
 * Payload: nonce(24), ciphertext, tag(16). The default algorithm.
 */
export const xaes256Gcm: AeadAlgorithm = {
  kind: "aead",
  name: "XAES-256-GCM",
  usages: ["encrypt"],
  materialFormat: "raw",
  payloadOverhead: 40,
  messageLimit: undefined,
  generate: (random) => random.bytes(rawKeyBytes),
  importKey: importRawKey,
  createAead: (key, options) => new DerivedKeyAead(keyDerivation(key), options),
};

/** The AES-256-GCM key of all nonces that begin with a prefix of 12 bytes: 32 bytes that the caller wipes. It opens nothing of other prefixes. */
export function deriveXaes256GcmKey(key: KeyObject, prefix: Uint8Array): Buffer {
  return keyDerivation(key)(prefix).key.export();
}

/** NIST SP 800-108 KDF in counter mode over CMAC-AES-256, as two blocks that differ in the counter. */
function keyDerivation(key: KeyObject): DeriveKey {
  const subkey = cmacSubkey(key);
  return (prefix) => {
    const blocks = Buffer.alloc(2 * blockBytes);
    for (const counter of [1, 2]) {
      const block = blocks.subarray((counter - 1) * blockBytes, counter * blockBytes);
      block.set([0, counter, 0x58, 0]);
      block.set(prefix, 4);
      for (const [index, byte] of subkey.entries()) block.writeUInt8(block.readUInt8(index) ^ byte, index);
    }
    const derived = encryptBlocks(key, blocks);
    const derivedKey = createSecretKey(derived);
    derived.fill(0);
    return { key: derivedKey, commitment: noCommitment };
  };
}

/** K1 of CMAC (NIST SP 800-38B): the encrypted zero block, doubled in GF(2^128). */
function cmacSubkey(key: KeyObject): Buffer {
  const encrypted = encryptBlocks(key, Buffer.alloc(blockBytes));
  const subkey = Buffer.alloc(blockBytes);
  let carry = 0;
  for (let index = blockBytes - 1; index >= 0; index--) {
    const doubled = (encrypted.readUInt8(index) << 1) | carry;
    subkey.writeUInt8(doubled & 0xff, index);
    carry = doubled >> 8;
  }
  // Multiplication by the carry instead of a branch on a bit of the key.
  subkey.writeUInt8(subkey.readUInt8(blockBytes - 1) ^ (carry * 0x87), blockBytes - 1);
  return subkey;
}

function encryptBlocks(key: KeyObject, blocks: Buffer): Buffer {
  return createCipheriv("aes-256-ecb", key, null).setAutoPadding(false).update(blocks);
}
