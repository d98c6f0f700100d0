import { createSecretKey } from "node:crypto";
import { systemClock } from "../../../src/clock.ts";
import { findAlgorithm } from "../../../src/crypto/algorithms.ts";
import { createIndexer } from "../../../src/crypto/blind-index.ts";
import { binaryPrefix, formatBinary, formatText, parseBinary, parseText, textPrefix } from "../../../src/crypto/ciphertext.ts";
import { createAadEncoder } from "../../../src/crypto/context.ts";
import { KeyMaterial } from "../../../src/crypto/key-material.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { decodeTypedValue, encodeTypedValue } from "../../../src/crypto/typed-value.ts";
import { KeysteadError } from "../../../src/errors.ts";
import type { FieldKey } from "../../../src/fields/field-key.ts";

/** A key of one version, straight on the crypto layer: what a `KeyHandle` does without store and lease. */
export function openKey(name: string, bytes: Uint8Array = systemRandom.bytes(32)): FieldKey {
  const algorithm = findAlgorithm("XAES-256-GCM");
  if (algorithm.kind !== "aead") throw new Error("not an AEAD");
  const material = KeyMaterial.import(algorithm, bytes);
  const label = `1-${material.fingerprint(name, 1)}`;
  const aead = algorithm.createAead(material.key, { random: systemRandom, clock: systemClock });
  const aad = createAadEncoder("typed", name, label);
  return {
    encryptValue: (value, context) => formatText(textPrefix(name, label), aead.seal(encodeTypedValue(value), aad(context))),
    encryptValueBytes: (value, context) => formatBinary(binaryPrefix(name, label), aead.seal(encodeTypedValue(value), aad(context))),
    decryptValue: (sealed, context) => {
      const parsed = typeof sealed === "string" ? parseText(sealed) : parseBinary(sealed);
      if (parsed === undefined) throw new KeysteadError("MALFORMED_CIPHERTEXT", "not ciphertext");
      const opened = parsed.key === name ? aead.open(parsed.payload, aad(context)) : undefined;
      const value = opened === undefined ? undefined : decodeTypedValue(opened);
      if (value === undefined) throw new KeysteadError("DECRYPTION_FAILED", "does not open");
      return value;
    },
    indexer: (spec) => createIndexer(createSecretKey(bytes), spec),
  };
}
