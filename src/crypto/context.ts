import { isPlainObject } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { encodeFields } from "./encode.ts";
import { maxContextNameBytes, maxContextPairs, maxContextValueBytes } from "./limits.ts";

/** Pairs of strings that a ciphertext is bound to. Visible to policy and audit, so never personal data. */
export type Context = Readonly<Record<string, string>>;

/** What a ciphertext seals; each kind opens as that kind only. */
export type CiphertextKind = "value" | "typed" | "file-key" | "data-key" | "secret";

interface PairNames {
  /** Names as the caller's object lists them. */
  readonly listed: readonly string[];
  /** The same names by their UTF-8 bytes. */
  readonly sorted: readonly { readonly name: string; readonly encoded: Buffer }[];
  /** What comes before the first value's length: everything up to and including the number of pairs. */
  readonly head: Buffer;
  readonly encodedBytes: number;
}

const lengthBytes = 4;
const utf8BytesPerCodeUnit = 3;
const fewCodeUnits = 512;
const noBytes = Buffer.alloc(0);

/**
 * Makes the additional authenticated data of a key version's ciphertexts:
 * `E("ks1", kind, key id, label, number of pairs, name₁, value₁, …)`, pairs sorted by the UTF-8 bytes of the name.
 *
 * The function it returns takes a plain object of at most 64 pairs, names of 1 to 255 and values of at most 65,536 bytes of
 * UTF-8, nothing normalised; `undefined` means no pairs. Every call returns memory of its own.
 * It throws KeysteadError `INVALID_ARGUMENT` for anything else, a lone surrogate included.
 */
export function createAadEncoder(kind: CiphertextKind, keyId: string, label: string): (context: Context | undefined) => Buffer {
  const fixed = encodeFields("ks1", kind, keyId, label);
  const withoutPairs = encodePairNames(fixed, []).head;
  let names = encodePairNames(fixed, []);
  return (context) => {
    if (context === undefined) return Buffer.from(withoutPairs);
    if (!isPlainObject(context)) throw invalid("context is not a plain object: pass names and values of type string");
    const listed = Object.keys(context);
    if (!sameStrings(listed, names.listed)) names = encodePairNames(fixed, listed);
    return encodeValues(names, context);
  };
}

/** Contexts of one key mostly have the same names, so sorting and encoding those is done once. */
function encodePairNames(fixed: Buffer, listed: readonly string[]): PairNames {
  if (listed.length > maxContextPairs) throw invalid(`context has more than ${maxContextPairs.toString()} pairs: pass fewer`);
  const sorted = listed.map((name) => ({ name, encoded: encodeName(name) }));
  // Byte order of UTF-8, which differs from the order of JavaScript strings beyond U+FFFF.
  sorted.sort((a, b) => Buffer.compare(a.encoded.subarray(lengthBytes), b.encoded.subarray(lengthBytes)));
  const head = Buffer.concat([fixed, encodeFields(listed.length)]);
  return { listed, sorted, head, encodedBytes: sorted.reduce((bytes, { encoded }) => bytes + encoded.length, head.length) };
}

function encodeName(name: string): Buffer {
  if (!name.isWellFormed()) throw invalid("name of a context pair contains a lone surrogate: pass well-formed text");
  const encoded = encodeFields(name);
  const length = encoded.length - lengthBytes;
  if (length < 1 || length > maxContextNameBytes) {
    throw invalid(`name of a context pair has ${length.toString()} bytes: pass 1 to ${maxContextNameBytes.toString()}`);
  }
  return encoded;
}

function encodeValues(names: PairNames, context: Context): Buffer {
  const values: string[] = [];
  let codeUnits = 0;
  for (const { name } of names.sorted) {
    const value = checkedValue(context[name]);
    values.push(value);
    codeUnits += value.length;
  }
  const size = names.encodedBytes + lengthBytes * values.length;
  return (
    (codeUnits <= fewCodeUnits ? encodeAscii(names, values, size + codeUnits) : undefined) ?? encodeText(names, values, size, codeUnits)
  );
}

/** Short ASCII values, which nearly all are, written in place: calls into the runtime cost more than their bytes. `undefined` for others. */
function encodeAscii(names: PairNames, values: readonly string[], size: number): Buffer | undefined {
  const aad = Buffer.allocUnsafe(size);
  aad.set(names.head);
  let offset = names.head.length;
  for (let pair = 0; pair < values.length; pair++) {
    const encoded = names.sorted[pair]?.encoded ?? noBytes;
    const value = values[pair] ?? "";
    aad.set(encoded, offset);
    offset = aad.writeUInt32BE(value.length, offset + encoded.length);
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return undefined;
      aad[offset++] = code;
    }
  }
  return aad;
}

function encodeText(names: PairNames, values: readonly string[], size: number, codeUnits: number): Buffer {
  const aad = Buffer.allocUnsafe(size + codeUnits * utf8BytesPerCodeUnit);
  aad.set(names.head);
  let offset = names.head.length;
  for (const [pair, value] of values.entries()) {
    const encoded = names.sorted[pair]?.encoded ?? noBytes;
    aad.set(encoded, offset);
    offset += encoded.length;
    if (!value.isWellFormed()) throw invalid("value of a context pair contains a lone surrogate: pass well-formed text");
    const written = aad.write(value, offset + lengthBytes, "utf8");
    if (written > maxContextValueBytes) throw longValue();
    offset = aad.writeUInt32BE(written, offset) + written;
  }
  return aad.subarray(0, offset);
}

function checkedValue(value: unknown): string {
  if (typeof value !== "string") throw invalid("value of a context pair is not a string: write it as text first");
  if (value.length > maxContextValueBytes) throw longValue();
  return value;
}

function sameStrings(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function longValue(): KeysteadError {
  return invalid(`value of a context pair is longer than ${maxContextValueBytes.toString()} bytes: pass a shorter one, or its digest`);
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
