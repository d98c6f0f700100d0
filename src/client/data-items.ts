import type { KeysteadApi } from "../api/keystead-api.ts";
import { binaryPrefix, formatBinary, formatText, parseBinary, parseText, textPrefix } from "../crypto/ciphertext.ts";
import { writeJson } from "../crypto/json-text.ts";
import { fromTypedJson, toTypedJson, type TypedJson } from "../crypto/typed-json.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import { mixedReleases } from "./batch-answers.ts";
import { fromBase64, toBase64 } from "./binary.ts";

type ItemOf<Many> = Many extends (items: readonly (infer I)[]) => unknown ? I : never;
type KeyTarget = Parameters<KeysteadApi["encrypt"]>[0];
type Tokens = Awaited<ReturnType<KeysteadApi["datasets"]["tokens"]>>;
type OpenItem = ItemOf<KeysteadApi["decryptMany"]>;

/** How items of batches and streams are sent, and what becomes of the answers to them. */
export const dataItems = {
  encrypt: {
    sent: ({ target, plaintext, value, ...options }: ItemOf<KeysteadApi["encryptMany"]>) => ({
      ...named(target),
      ...(plaintext !== undefined && textOrBytes(plaintext, "plaintext")),
      ...(value !== undefined && { value: typedValue(value) }),
      ...options,
    }),
    got: ciphertextOf,
  },
  decrypt: {
    sent: ({ ciphertext, typed = false, text = false, ...options }: OpenItem) => ({
      ciphertext: asText(ciphertext),
      as: typed ? ("value" as const) : text ? ("text" as const) : ("bytes" as const),
      ...options,
    }),
    got: (item: Opened) =>
      item.value === undefined
        ? { plaintext: item.text === undefined ? fromBase64(item.plaintext) : Buffer.from(item.text) }
        : { value: valueOf(item) },
  },
  rewrap: {
    sent: ({ key, ...item }: ItemOf<KeysteadApi["rewrapMany"]>) => ({ ...item, ...keyName(key) }),
    got: ciphertextOf,
  },
  mac: {
    sent: ({ target, data }: ItemOf<KeysteadApi["macMany"]>) => ({ ...named(target), ...textOrBytes(data, "data") }),
    got: ({ tag }: { readonly tag: string }) => tag,
  },
  verifyMac: {
    sent: ({ target, data, tag }: ItemOf<KeysteadApi["verifyMacMany"]>) => ({ ...named(target), ...textOrBytes(data, "data"), tag }),
    got: ({ valid }: { readonly valid: boolean }) => valid,
  },
  hash: {
    sent: ({ data, ...options }: ItemOf<KeysteadApi["hashMany"]>) => ({ ...textOrBytes(data, "data"), ...options }),
    got: ({ hash }: { readonly hash: string }) => fromBase64(hash),
  },
  randomBytes: {
    sent: (item: ItemOf<KeysteadApi["randomBytesMany"]>) => item,
    got: ({ bytes }: { readonly bytes: string }) => fromBase64(bytes),
  },
  createDataKey: {
    sent: ({ target, ...options }: ItemOf<KeysteadApi["dataKeys"]["createMany"]>) => ({ ...named(target), ...options }),
    got: dataKey,
  },
  openDataKey: {
    sent: (item: ItemOf<KeysteadApi["dataKeys"]["openMany"]>) => item,
    got: ({ plaintext }: { readonly plaintext: string }) => fromBase64(plaintext),
  },
  tokens: {
    sent: ({ values, ...item }: ItemOf<KeysteadApi["datasets"]["tokensMany"]>) => ({ ...item, values: values.map(searchable) }),
    got: ({ tokens }: { readonly tokens: Tokens }) => tokens,
  },
} as const;

/** What a ciphertext opened to, as JSON has it. */
export interface Opened {
  readonly plaintext?: string;
  readonly text?: string;
  readonly value?: TypedJson;
}

function ciphertextOf({ ciphertext }: { readonly ciphertext: string }): string {
  return ciphertext;
}

/** A value with its type, as a body has it. @throws KeysteadError `INVALID_ARGUMENT` for what JSON would write as something else */
export function typedValue(value: FieldValue): TypedJson {
  const typed = toTypedJson(value);
  if (typed.type === "json") writeJson(typed.value);
  return typed;
}

/** A value that is searched for, as JSON has it. */
export function searchable(value: string | number | bigint): string | number {
  if (typeof value !== "bigint") return value;
  if (value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new KeysteadError("INVALID_ARGUMENT", "over HTTP integers beyond 2^53 can't be searched for; search on the host of the database");
}

/** The value of an answer that must have one. */
export function valueOf({ value }: Opened): ReturnType<typeof fromTypedJson> {
  if (value !== undefined) return fromTypedJson(value);
  throw mixedReleases();
}

/** A data key, as a server answers it. */
export function dataKey({ ciphertext, plaintext }: { readonly ciphertext: string; readonly plaintext?: string }): {
  readonly ciphertext: string;
  readonly plaintext?: Buffer;
} {
  return { ciphertext, ...(plaintext !== undefined && { plaintext: fromBase64(plaintext) }) };
}

/** The members by which a body names a key. */
export function named(target: KeyTarget): { readonly key: string } | { readonly purpose: string } {
  return typeof target === "string" ? { key: target } : { purpose: target.purpose };
}

/** A key to move to is named by itself: a purpose's default key may change between two looks. */
export function keyName(target: KeyTarget | undefined): { readonly key?: string } {
  if (target === undefined) return {};
  if (typeof target === "string") return { key: target };
  throw new KeysteadError("INVALID_ARGUMENT", "over HTTP the key to move to is given by its name, not by a purpose");
}

/** Data as a body has it: text as it is, bytes in base64. */
export function textOrBytes<const Name extends string>(
  data: string | Uint8Array,
  name: Name,
): { readonly text: string } | { readonly [N in Name]: string } {
  if (typeof data !== "string") return record(name, toBase64(data));
  if (data.isWellFormed()) return { text: data };
  throw new KeysteadError("INVALID_ARGUMENT", "the text contains a lone surrogate: pass well-formed text, or bytes");
}

function record<const Name extends string>(name: Name, value: string): { readonly [N in Name]: string };
function record(name: string, value: string): Readonly<Record<string, string>> {
  return { [name]: value };
}

/** Ciphertext as JSON takes it: what is binary is written as text. */
export function asText(sealed: string | Uint8Array): string {
  if (typeof sealed === "string") return sealed;
  const parsed = parseBinary(sealed);
  if (parsed === undefined)
    throw new KeysteadError(
      "MALFORMED_CIPHERTEXT",
      "this is not Keystead ciphertext of format 1; check that it was stored whole and unchanged",
    );
  return formatText(textPrefix(parsed.key, parsed.label), parsed.payload);
}

/** Ciphertext in its binary form. */
export function asBytes(ciphertext: string): Buffer {
  const parsed = parseText(ciphertext);
  if (parsed === undefined) throw mixedReleases();
  return formatBinary(binaryPrefix(parsed.key, parsed.label), parsed.payload);
}
