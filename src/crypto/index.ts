export type { Aead, AeadOptions } from "./aead.ts";
export {
  type AeadAlgorithm,
  type Algorithm,
  type AlgorithmName,
  algorithms,
  findAlgorithm,
  isAlgorithmName,
  type KeyUsage,
  type MacAlgorithm,
  type SignatureAlgorithm,
} from "./algorithms.ts";
export { encodeBase32 } from "./base32.ts";
export { decodeBase64url, encodeBase64url } from "./base64url.ts";
export {
  binaryPrefix,
  type CiphertextHeader,
  formatBinary,
  formatLabel,
  formatText,
  isKeyFingerprint,
  isKeyName,
  type ParsedCiphertext,
  parseBinary,
  parseLabel,
  parseText,
  textPrefix,
} from "./ciphertext.ts";
export { type CiphertextKind, type Context, createAadEncoder } from "./context.ts";
export { encodeFields, type Field } from "./encode.ts";
export { decodeHex, encodeHex } from "./hex.ts";
export type { JsonStructure, JsonValue } from "./json-text.ts";
export { hkdf } from "./kdf.ts";
export { KeyMaterial } from "./key-material.ts";
export {
  type Argon2idCosts,
  type Argon2idParameters,
  derivePassphraseKey,
  formatPassphraseParameters,
  newArgon2idParameters,
  newScryptParameters,
  parsePassphraseParameters,
  type PassphraseParameters,
  type ScryptCosts,
  type ScryptParameters,
} from "./passphrase.ts";
export { RandomPool, type RandomSource, systemRandom } from "./random.ts";
export { SecretBytes } from "./secret-bytes.ts";
export {
  fileKeyBytes,
  formatStreamHeader,
  type OpenedStream,
  openChunks,
  readStreamHeader,
  sealChunks,
  streamChunkBytes,
  streamPrefix,
} from "./stream.ts";
export { decodeUtf8, encodeUtf8 } from "./text.ts";
export { decodeTypedValue, encodeTypedValue, type FieldValue } from "./typed-value.ts";
