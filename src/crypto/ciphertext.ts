import { KeysteadError } from "../errors.ts";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { maxKeyNameLength, maxKeyVersion, maxPayloadBytes } from "./limits.ts";
import { viewBytes } from "./text.ts";

/** What a ciphertext says about itself before anything is opened. */
export interface CiphertextHeader {
  /** Name of the key. */
  readonly key: string;
  readonly version: number;
  /** Fingerprint of the key version. */
  readonly fingerprint: string;
  /** `<version>-<fingerprint>`, for example `3-k7f2qd`. */
  readonly label: string;
}

/** A ciphertext, taken apart. */
export interface ParsedCiphertext extends CiphertextHeader {
  readonly payload: Buffer;
}

/** What begins each form of ciphertext. */
export const ciphertextMagic = { text: "ks1:", binary: "ks1b:", stream: "ks1s:" } as const;

const keyNamePattern = /^[A-Za-z0-9][A-Za-z0-9._~-]*(?:\/[A-Za-z0-9][A-Za-z0-9._~-]*){0,3}$/;
const fingerprintPattern = /^[a-z2-7]{6}$/;
const labelPattern = /^([1-9][0-9]{0,9})-([a-z2-7]{6})$/;
const maxLabelLength = 17;
const maxPayloadCharacters = Math.ceil((maxPayloadBytes * 4) / 3);
const colon = 0x3a;

/** The fewest bytes that a payload has. */
export const minPayloadBytes = 28;

/** The most bytes that a header of any form may have, its last colon included. */
export const maxHeaderBytes = ciphertextMagic.binary.length + maxKeyNameLength + 1 + maxLabelLength + 1;

/** True for a name that a key may have: a path of 1–4 segments of `[A-Za-z0-9][A-Za-z0-9._~-]*`, 255 characters in all. */
export function isKeyName(text: string): boolean {
  return text.length <= maxKeyNameLength && keyNamePattern.test(text);
}

/** True for six characters of lower-case base32. */
export function isKeyFingerprint(text: string): boolean {
  return fingerprintPattern.test(text);
}

/**
 * The label of a key version, `3-k7f2qd`.
 * @throws KeysteadError `INVALID_ARGUMENT` for a version outside 1…2^31 − 1 or what is no fingerprint.
 */
export function formatLabel(version: number, fingerprint: string): string {
  const label = `${version.toString()}-${fingerprint}`;
  if (parseLabel(label) === undefined) {
    throw new KeysteadError("INVALID_ARGUMENT", "label needs a version from 1 on and a fingerprint of six base32 characters");
  }
  return label;
}

/** Version and fingerprint of a label; `undefined` when it is none. */
export function parseLabel(label: string): { readonly version: number; readonly fingerprint: string } | undefined {
  if (label.length > maxLabelLength) return undefined;
  const match = labelPattern.exec(label);
  const version = Number(match?.[1]);
  const fingerprint = match?.[2];
  return fingerprint === undefined || version > maxKeyVersion ? undefined : { version, fingerprint };
}

/** What every text ciphertext of a key version begins with: `ks1:<key>:<label>:`. */
export function textPrefix(key: string, label: string): string {
  return `${ciphertextMagic.text}${checkedHeader(key, label)}`;
}

/** What every binary ciphertext of a key version begins with: `ks1b:<key>:<label>:`. */
export function binaryPrefix(key: string, label: string): Buffer {
  return Buffer.from(`${ciphertextMagic.binary}${checkedHeader(key, label)}`, "latin1");
}

/** What every stream of a key version begins with: `ks1s:<key>:<label>:`. */
export function streamPrefix(key: string, label: string): Buffer {
  return Buffer.from(`${ciphertextMagic.stream}${checkedHeader(key, label)}`, "latin1");
}

function checkedHeader(key: string, label: string): string {
  if (!isKeyName(key) || parseLabel(label) === undefined) {
    throw new KeysteadError("INVALID_ARGUMENT", "ciphertext header needs a key name and a version label");
  }
  return `${key}:${label}:`;
}

/** A text ciphertext. `headerPrefix` comes from {@link textPrefix}. */
export function formatText(headerPrefix: string, payload: Uint8Array): string {
  return headerPrefix + encodeBase64url(payload);
}

/** The label in a text ciphertext that was made a moment ago; what it is of another text means nothing. */
export function labelOf(sealed: string): string {
  const start = sealed.indexOf(":", ciphertextMagic.text.length) + 1;
  return sealed.slice(start, sealed.indexOf(":", start));
}

/** A binary ciphertext. `headerPrefix` comes from {@link binaryPrefix}. */
export function formatBinary(headerPrefix: Uint8Array, payload: Uint8Array): Buffer {
  return Buffer.concat([headerPrefix, payload]);
}

/** Takes a text ciphertext apart; `undefined` unless every character is as {@link formatText} writes it. Never throws. */
export function parseText(text: string): ParsedCiphertext | undefined {
  if (!text.startsWith(ciphertextMagic.text)) return undefined;
  const keyEnd = text.indexOf(":", ciphertextMagic.text.length);
  const labelEnd = keyEnd === -1 ? -1 : text.indexOf(":", keyEnd + 1);
  if (labelEnd === -1 || labelEnd >= maxHeaderBytes || text.length - labelEnd - 1 > maxPayloadCharacters) return undefined;
  const header = recallHeader(text.slice(ciphertextMagic.text.length, labelEnd));
  if (header === undefined) return undefined;
  const payload = decodeBase64url(text.slice(labelEnd + 1));
  return payload === undefined || payload.length < minPayloadBytes ? undefined : joinParts(header, payload);
}

/**
 * Takes a binary ciphertext apart; `undefined` unless every byte of its header is as {@link formatBinary} writes it. Never
 * throws. The payload is a view of the same memory.
 */
export function parseBinary(bytes: Uint8Array): ParsedCiphertext | undefined {
  const parsed = parseBinaryHeader(bytes, ciphertextMagic.binary);
  if (parsed === undefined) return undefined;
  const payload = viewBytes(bytes).subarray(parsed.end);
  return payload.length < minPayloadBytes || payload.length > maxPayloadBytes ? undefined : joinParts(parsed.header, payload);
}

/**
 * Reads the header that bytes begin with.
 * @returns the header and where the bytes after it begin; `undefined` when there is none within {@link maxHeaderBytes}.
 */
export function parseBinaryHeader(
  bytes: Uint8Array,
  magic: "ks1b:" | "ks1s:",
): { readonly header: CiphertextHeader; readonly end: number } | undefined {
  const head = viewBytes(bytes).subarray(0, maxHeaderBytes);
  if (head.toString("latin1", 0, magic.length) !== magic) return undefined;
  const keyEnd = head.indexOf(colon, magic.length);
  const labelEnd = keyEnd === -1 ? -1 : head.indexOf(colon, keyEnd + 1);
  if (labelEnd === -1) return undefined;
  const header = recallHeader(head.toString("latin1", magic.length, labelEnd));
  return header === undefined ? undefined : { header, end: labelEnd + 1 };
}

function joinParts({ key, version, fingerprint, label }: CiphertextHeader, payload: Buffer): ParsedCiphertext {
  return { key, version, fingerprint, label, payload };
}

/** Headers parsed before: a table's ciphertexts have few different ones. */
const knownHeaders = new Map<string, CiphertextHeader>();
const maxKnownHeaders = 256;

/** The header that `<key>:<label>` spells. */
function recallHeader(text: string): CiphertextHeader | undefined {
  const known = knownHeaders.get(text);
  if (known !== undefined) return known;
  // A copy: a part of a string keeps the whole string in memory.
  const copy = Buffer.from(text, "latin1").toString("latin1");
  const header = parseHeader(copy);
  if (header === undefined || copy !== text) return undefined;
  if (knownHeaders.size >= maxKnownHeaders) knownHeaders.clear();
  knownHeaders.set(copy, header);
  return header;
}

function parseHeader(text: string): CiphertextHeader | undefined {
  const [key = "", label = ""] = text.split(":");
  const parsed = isKeyName(key) ? parseLabel(label) : undefined;
  return parsed === undefined ? undefined : { key, version: parsed.version, fingerprint: parsed.fingerprint, label };
}
